# The whole way from Verilog to a bitstream; settings.tcl says what of.
#
#     vivado -mode batch -source build.tcl
#
# leaves in out/: NAME.bit and NAME.hwh, the reports, and result.txt, which says what made them.
# LOGNET_JOBS: runs side by side, 4 by itself.  A second run begins anew.

set here [file dirname [file normalize [info script]]]
source [file join $here settings.tcl]
set work [file join $here work]
set out [file join $here out]
if {![llength [get_parts -quiet $part]]} {
    error "Vivado [version -short] does not know the part $part: it is of a later chip, or its device family is not installed"
}
file delete -force $work $out
file mkdir $work $out

source [file join $here package_core.tcl]
source [file join $here system.tcl]
source [file join $here implement.tcl]
puts "LogNet: done; the bitstream and its reports are in $out"
