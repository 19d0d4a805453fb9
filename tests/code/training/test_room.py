"""Room is counted machine by machine; what is lost is waited for, and given up in the end."""

import pytest

from workbench.errors import EnvironmentFault
from workbench.training import room


@pytest.mark.usefixtures("four_small_machines")
def test_what_no_machine_holds_has_no_room_however_many_machines_there_are() -> None:
    assert [room.fitting({"CPU": cpus}) for cpus in (0.5, 1, 2, 3)] == [12, 6, 3, 0]
    assert room.fitting({"CPU": 1, "GPU": 1}) == 0
    room.check("scaling.workers=3", 3, {"CPU": 2, "GPU": 0})
    with pytest.raises(EnvironmentFault, match=r"scaling.workers=1 need 4 CPUs each on one machine, .* hold 0 such"):
        room.check("scaling.workers=1", 1, {"CPU": 4, "GPU": 0})


@pytest.mark.usefixtures("four_small_machines")
def test_room_that_is_lost_is_told_once_and_given_up_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    patient, hasty = room.Watch(60), room.Watch(0)
    for _ in range(3):
        patient.look("scaling.workers=4", 4, {"CPU": 2})
    assert capsys.readouterr().err.count("scaling.workers=4 have no room") == 1
    hasty.look("scaling.workers=4", 4, {"CPU": 2})
    with pytest.raises(EnvironmentFault, match=r"hold 3 such.*goes on from the last checkpoint"):
        hasty.look("scaling.workers=4", 4, {"CPU": 2})


@pytest.mark.usefixtures("four_small_machines")
def test_room_that_came_back_is_no_longer_missed() -> None:
    watch = room.Watch(0)
    watch.look("four", 4, {"CPU": 2})
    watch.look("four", 3, {"CPU": 2})
    watch.look("four", 4, {"CPU": 2})  # the first look again: it would raise at the second
