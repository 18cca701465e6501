# Synthesis, placement, routing, bitstream, and what is to be known about them.

set jobs 4
if {[info exists ::env(LOGNET_JOBS)]} {
    set jobs $::env(LOGNET_JOBS)
}

proc finish {run} {
    wait_on_run $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "$run ended with: [get_property STATUS [get_runs $run]]; see its runme.log below work/project"
    }
}

launch_runs synth_1 -jobs $jobs
finish synth_1
set_property STEPS.PHYS_OPT_DESIGN.IS_ENABLED true [get_runs impl_1]
launch_runs impl_1 -to_step write_bitstream -jobs $jobs
finish impl_1
open_run impl_1

report_utilization -file [file join $out utilization.rpt]
report_utilization -hierarchical -hierarchical_depth 4 -file [file join $out hierarchy.rpt]
report_timing_summary -delay_type min_max -file [file join $out timing.rpt]
report_power -file [file join $out power.rpt]

# Where the files of the block design lie has changed between versions.
proc find_one {folder pattern} {
    set found [glob -nocomplain -directory $folder $pattern]
    foreach below [lsort [glob -nocomplain -type d -directory $folder *]] {
        lappend found {*}[find_one $below $pattern]
    }
    return $found
}

foreach {pattern name_there} [list lognet_wrapper.bit $name.bit lognet.hwh $name.hwh] {
    set found [lindex [find_one [file join $work project] $pattern] 0]
    if {$found eq ""} {
        error "Vivado has written no $pattern below [file join $work project]"
    }
    file copy -force $found [file join $out $name_there]
}

set result [open [file join $out result.txt] w]
set mark [open [file join $here project.txt]]
puts $result "project [gets $mark]"
close $mark
puts $result "tool Vivado=[version -short]"
puts $result "part [get_property PART [current_project]]"
puts $result "tool board files=[expr {$board eq "" ? "none" : $board}]"
close $result
