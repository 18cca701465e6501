"""What the number of frames decides."""

from __future__ import annotations

from lognet_fpga.quantize.methods import MANY_FRAMES, Methods


def test_earlier_errors_are_made_up_for_as_far_as_the_frames_tell_them():
    assert Methods().for_frames(MANY_FRAMES - 1).follow == 0.5
    assert Methods().for_frames(MANY_FRAMES).follow == 1
    assert Methods(follow=0).for_frames(MANY_FRAMES).follow == 0
