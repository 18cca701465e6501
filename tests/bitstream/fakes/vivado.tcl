# Stands in for Vivado: knows the commands that the project's scripts use, keeps record of every call, and writes
# reports like those of Vivado.  What it does not know is an error, and so is a command used wrongly.
#
#     tclsh vivado.tcl -mode batch ... -source build.tcl
#
# FAKE_VIVADO: options, KEY=VALUE separated by blanks: record=FILE, slack=NS, version=V, fail=RUN, boards=NAMES,
# width=BITS of the results' stream as the DMA finds it, pll=MHZ of the processor, period=NS of the clock in the timing
# report, pulse=NS of slack there, reports=FOLDER with the texts of the reports, map=none or empty where the packager
# makes no memory map or one without a block, parts=none where it does not know the part.

array set option {record "" slack 0.412 version 2023.1 fail "" boards "" width "" pll 1000 period "" pulse 3.750 reports "" map made parts all}
foreach pair [split $::env(FAKE_VIVADO)] {
    lassign [split $pair =] key value
    if {$key ne ""} {set option($key) $value}
}
if {[lindex $argv 0] eq "-version"} {
    puts "Vivado v$option(version) (64-bit)"
    exit 0
}

proc record {args} {
    global option
    if {$option(record) eq ""} return
    set file [open $option(record) a]
    puts $file [string map [list $::here .] $args]
    close $file
}

proc known {arguments allowed} {
    foreach word $arguments {
        if {[string match -* $word] && ![string is double $word] && $word ni $allowed} {error "unknown option $word"}
    }
}

# Commands of which only the call matters: name, the options it has.
foreach {name options} {
    create_project {-force -part} add_files {-norecurse -fileset} update_compile_order {-fileset}
    ipx::package_project {-root_dir -vendor -library -taxonomy -import_files -set_current} ipx::update_checksums {}
    ipx::check_integrity {} ipx::save_core {} close_project {} update_ip_catalog {-rebuild} create_bd_design {}
    apply_bd_automation {-rule -config} assign_bd_address {-offset -range -target_address_space -force}
    validate_bd_design {} save_bd_design {} generate_target {} wait_on_run {} open_run {}
    make_bd_intf_pins_external {} connect_bd_net {} connect_bd_intf_net {}
} {
    namespace eval [namespace qualifiers ::$name] {}
    proc ::$name args "record $name {*}\$args; known \$args {$options}; return {}"
}

# Commands that find something: they answer with its name.
foreach {name options} {
    current_fileset {} current_project {} ipx::current_core {}
    ipx::get_bus_interfaces {-of_objects} get_bd_pins {} get_bd_intf_pins {} get_bd_addr_spaces {} get_bd_addr_segs {}
    get_files {} get_runs {} make_wrapper {-files -top}
} {
    namespace eval [namespace qualifiers ::$name] {}
    proc ::$name args "known \$args {$options}; return \[concat \[namespace tail $name\] \$args\]"
}

proc ipx::get_memory_maps {args} {
    known $args {-quiet -of_objects}
    if {$::option(map) eq "none"} {return ""}
    return "memory_map s_axil"
}
proc ipx::get_address_blocks {args} {
    known $args {-quiet -of_objects}
    if {[lindex $args end] eq ""} {error "no memory map given"}
    if {$::option(map) ne "made"} {return ""}
    return get_address_blocks
}
proc ipx::add_memory_map {name core} {record ipx::add_memory_map $name; return "memory_map $name"}
proc ipx::add_address_block {name map} {record ipx::add_address_block $name; return "address_block $name"}
proc get_parts {args} {
    known $args {-quiet}
    if {$::option(parts) eq "none"} {return ""}
    return [lindex $args end]
}
proc ipx::add_register {name block} {
    if {$block eq ""} {error "no address block given"}
    record ipx::add_register $name
    return "register $name"
}
proc create_bd_cell {args} {record create_bd_cell {*}$args; known $args {-type -vlnv}; return "cell [lindex $args end]"}

proc get_board_parts {args} {
    known $args {-quiet -latest_file_version}
    return [lsearch -all -inline $::option(boards) [lindex $args end]]
}

proc get_ipdefs {args} {
    known $args {-all}
    set stem [string trimright [lindex $args end] *]
    if {[string match lognet-fpga:* $stem]} {return "${stem}1.0"}
    return [list "${stem}3.3" "${stem}7.1"]
}

proc set_property {args} {
    record set_property {*}$args
    if {[lindex $args 0] eq "-dict"} {
        lassign $args _ pairs object
        if {[llength $pairs] % 2} {error "no pairs: $pairs"}
        foreach {name value} $pairs {set ::properties($name,$object) $value}
    } elseif {[llength $args] == 3} {
        set ::properties([lindex $args 0],[lindex $args 2]) [lindex $args 1]
    } else {
        error "set_property $args"
    }
}

proc get_property {name object} {
    global option properties
    if {$name eq "CONFIG.c_s_axis_s2mm_tdata_width"} {return [expr {$option(width) eq "" ? $::sink_bits : $option(width)}]}
    if {[string match CONFIG.*ACT_*FREQMHZ $name]} {return [made_clock]}
    if {[info exists properties($name,$object)]} {return $properties($name,$object)}
    set failed [expr {$option(fail) ne "" && [string match "* $option(fail)" $object]}]
    switch -- $name {
        PROGRESS {return [expr {$failed ? "40%" : "100%"}]}
        STATUS {return [expr {$failed ? "synth_design ERROR" : "complete"}]}
        PART {return $::part}
    }
    error "get_property $name $object"
}

# The clock that the processor makes: the fastest at or below what it was asked for, in single precision as Vivado's.
proc made_clock {} {
    global option properties
    foreach name [array names properties -regexp {(FPGA0_PERIPHERAL|PL0_REF_CTRL_)_FREQMHZ}] {set asked $properties($name)}
    if {[info exists ::fake_clock]} {return $::fake_clock}
    set best 0
    for {set first 1} {$first < 64} {incr first} {
        for {set second 1} {$second <= $first} {incr second} {
            binary scan [binary format f [expr {double($option(pll)) / ($first * $second)}]] f clock
            if {$clock <= $asked && $clock > $best} {set best $clock}
        }
    }
    return [set ::fake_clock [format %.6f $best]]
}

# The width of m_axis in the wrapper, as Vivado hands it on to the DMA.
proc read_width {} {
    set file [open [lindex [glob -directory $::here/verilog lognet_overlay_core.v] 0]]
    regexp {output wire \[(\d+):0\] m_axis_tdata} [read $file] _ high
    close $file
    return [expr {$high + 1}]
}

proc launch_runs {args} {
    record launch_runs {*}$args
    known $args {-jobs -to_step}
    if {[lindex $args 0] eq "impl_1"} {
        foreach {path content} [list runs/impl_1/lognet_wrapper.bit "the bits of $::name" bd/hw_handoff/lognet.hwh "<handoff/>"] {
            set place [file join $::work project $path]
            file mkdir [file dirname $place]
            set file [open $place w]
            puts -nonewline $file $content
            close $file
        }
    }
}

proc version {args} {return $::option(version)}

proc report {file_name arguments} {
    global option
    set file [open [file join $option(reports) $file_name]]
    set period [expr {$option(period) eq "" ? 1000.0 / [made_clock] : $option(period)}]
    set clock [list @PERIOD@ [format %.3f $period] @MHZ@ [format %.3f [expr {1000.0 / $period}]]]
    set text [string map [list @SLACK@ $option(slack) @PULSE@ $option(pulse) {*}$clock] [read $file]]
    close $file
    set file [open [lindex $arguments [lsearch $arguments -file]+1] w]
    puts -nonewline $file $text
    close $file
}
proc report_utilization {args} {
    known $args {-file -hierarchical -hierarchical_depth}
    report [expr {"-hierarchical" in $args ? "hierarchy.rpt" : "utilization.rpt"}] $args
}
proc report_timing_summary {args} {known $args {-delay_type -file}; report timing.rpt $args}
proc report_power {args} {known $args {-file}; report power.rpt $args}

close [open [lindex $argv [lsearch $argv -log]+1] w]
set script [lindex $argv [lsearch $argv -source]+1]
set here [file dirname [file normalize $script]]
set sink_bits [read_width]
set argv0 $script
if {[catch {source $script} problem]} {
    puts "ERROR: $problem"
    exit 1
}
exit 0
