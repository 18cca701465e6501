# The overlay as an IP core, by the VLNV that the driver binds to.  The interfaces are stated in the wrapper's attributes.

create_project -force package_core [file join $work package_core] -part $part
add_files -norecurse [lsort [glob [file join $here verilog *]]]
set_property top $core_top [current_fileset]
update_compile_order -fileset sources_1

lassign [split $core_vlnv :] vendor library core version
set core_root [file join $work ip $core]
ipx::package_project -root_dir $core_root -vendor $vendor -library $library -taxonomy /UserIP -import_files -set_current true
set core_ip [ipx::current_core]
set_property name $core $core_ip
set_property version $version $core_ip
set_property display_name "LogNet overlay $name" $core_ip
set_property description "Convolution layers with log2 4-bit weights, as a stream" $core_ip

# Vivado makes the memory map of the AXI4-Lite port from its address wires; where it has not, it is made here.  The
# registers in it go to the .hwh.
set memory_map [ipx::get_memory_maps -quiet s_axil -of_objects $core_ip]
if {$memory_map eq ""} {
    set memory_map [ipx::add_memory_map s_axil $core_ip]
    set_property slave_memory_map_ref s_axil [ipx::get_bus_interfaces s_axil -of_objects $core_ip]
}
set block [lindex [ipx::get_address_blocks -quiet -of_objects $memory_map] 0]
if {$block eq ""} {
    set block [ipx::add_address_block reg0 $memory_map]
    set_property usage register $block
    set_property width 32 $block
}
set_property range $core_range $block
foreach {register offset access description} $core_registers {
    set made [ipx::add_register $register $block]
    set_property address_offset $offset $made
    set_property size 32 $made
    set_property access $access $made
    set_property description $description $made
}

ipx::update_checksums $core_ip
ipx::check_integrity $core_ip
ipx::save_core $core_ip
close_project
