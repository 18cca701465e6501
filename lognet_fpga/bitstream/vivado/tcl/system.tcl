# The block design: processor, AXI DMA, overlay, and what connects them.

create_project -force lognet [file join $work project] -part $part

# With the board's files, where they are installed, the processor is set up as on the board.  Without them the bitstream
# is as good: PYNQ's boot image has set up memory and pins, and a bitstream does not change that.
set board [lindex [get_board_parts -quiet -latest_file_version $board_files] end]
if {$board ne ""} {
    set_property board_part $board [current_project]
    if {$board_connections ne "" && [catch {set_property board_connections $board_connections [current_project]} problem]} {
        puts "LogNet: the connections of the carrier card are not set: $problem"
    }
} else {
    puts "LogNet: no board files like $board_files are installed; the part is $part, the processor is set up plainly"
}

set_property ip_repo_paths [list [file join $work ip]] [current_project]
update_ip_catalog -rebuild
add_files -fileset constrs_1 -norecurse [file join $here constraints.xdc]
create_bd_design lognet

# The IP of that name in whatever version this Vivado has.
proc cell {instance vendor_library_name} {
    set found [lsort -dictionary [get_ipdefs -all "${vendor_library_name}:*"]]
    if {![llength $found]} {
        error "this Vivado has no $vendor_library_name"
    }
    return [create_bd_cell -type ip -vlnv [lindex $found end] $instance]
}

proc connect {from args} {
    foreach to $args {
        connect_bd_net [get_bd_pins $from] [get_bd_pins $to]
    }
}

proc connect_interface {from to} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

set ps [cell ps xilinx.com:ip:$processor]
if {$board ne ""} {
    apply_bd_automation -rule xilinx.com:bd_rule:$processor -config $automation $ps
} else {
    foreach interface $external_interfaces {
        make_bd_intf_pins_external [get_bd_intf_pins ps/$interface]
    }
    if {[llength $ps_without_board_files]} {
        set_property -dict $ps_without_board_files $ps
    }
}
set_property -dict $ps_config $ps

# The frequency that was planned for must be there: timing is closed for the clock that Vivado makes.
set made_mhz [get_property $ps_clock_made $ps]
if {abs($made_mhz - $ps_clock_mhz) > 1e-4 * $ps_clock_mhz} {
    error "Vivado's processor makes $made_mhz MHz, not the $ps_clock_mhz planned: its PLL is not the one in overlays/BOARD/board.json; deploy with --clk-mhz $made_mhz"
}

set reset [cell reset xilinx.com:ip:proc_sys_reset]
set dma [cell $dma_name [join [lrange [split $dma_vlnv :] 0 2] :]]
set_property -dict $dma_config $dma
set core [cell $core_name [join [lrange [split $core_vlnv :] 0 2] :]]
set control [cell control_interconnect xilinx.com:ip:smartconnect]
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 2} $control
set memory [cell memory_interconnect xilinx.com:ip:smartconnect]
set_property -dict {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1} $memory

# One clock for everything.
set clock ps/$ps_clock
foreach input $ps_clock_inputs {
    connect $clock ps/$input
}
connect $clock reset/slowest_sync_clk control_interconnect/aclk memory_interconnect/aclk $core_name/clk
connect $clock $dma_name/s_axi_lite_aclk $dma_name/m_axi_mm2s_aclk $dma_name/m_axi_s2mm_aclk
connect ps/$ps_reset reset/ext_reset_in
connect reset/peripheral_aresetn control_interconnect/aresetn memory_interconnect/aresetn $dma_name/axi_resetn
connect reset/peripheral_reset $core_name/rst

connect_interface ps/$ps_master control_interconnect/S00_AXI
connect_interface control_interconnect/M00_AXI $dma_name/S_AXI_LITE
connect_interface control_interconnect/M01_AXI $core_name/s_axil
connect_interface $dma_name/M_AXIS_MM2S $core_name/s_axis
connect_interface $core_name/m_axis $dma_name/S_AXIS_S2MM
connect_interface $dma_name/M_AXI_MM2S memory_interconnect/S00_AXI
connect_interface $dma_name/M_AXI_S2MM memory_interconnect/S01_AXI
connect_interface memory_interconnect/M00_AXI ps/$ps_memory

foreach {port offset range} $addresses {
    assign_bd_address -offset $offset -range $range -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs $port/*] -force
}
assign_bd_address
validate_bd_design

# The width of the results' stream comes to the DMA from the overlay: what the driver will look for must be there.
foreach {parameter wanted} $dma_checks {
    set found [get_property $parameter $dma]
    if {$found != $wanted} {
        error "the AXI DMA has $parameter = $found, not $wanted"
    }
}
save_bd_design
generate_target all [get_files lognet.bd]
add_files -norecurse [make_wrapper -files [get_files lognet.bd] -top]
set_property top lognet_wrapper [current_fileset]
update_compile_order -fileset sources_1
