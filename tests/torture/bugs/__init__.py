"""Seed the server with one bug at a time: what the checker has to catch."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.torture.bugs import answering, changing, delivering, storing
from tests.torture.checker.violations import Rule


class Bug(NamedTuple):
    """Hold one bug.

    Attributes:
        plant: Puts it into the server, in this process.
        breaks: The promise that the checker has to find broken.
        end: What has to end lives to show it, as in `Scenario.ends`; None where one life will do.
        scenario: Who takes part in those.
        patience: Seconds that clients have to settle, where it leaves them waiting for ever; None
            for as many as otherwise.
    """

    plant: Callable[[], None]
    breaks: Rule
    end: str | None = None
    scenario: str = "points"
    patience: float | None = None


BUGS: Final[Mapping[str, Bug]] = {
    bug.plant.__name__: bug
    for bug in (
        Bug(storing.ack_before_commit, Rule.LOST, "after_ack"),
        Bug(storing.relaxed_committed_late, Rule.LOST, "after_ack", "relaxed"),
        Bug(storing.broadcast_before_commit, Rule.UNLOGGED, "before_commit"),
        Bug(storing.batch_turned_round, Rule.ORDER),
        Bug(storing.texts_mixed_up, Rule.INVENTED, patience=2.0),
        Bug(storing.cid_forgotten, Rule.TWICE),
        Bug(storing.retry_leaves_hole, Rule.NUMBERING),
        Bug(storing.conflict_overlooked, Rule.ALTERED),
        Bug(storing.retry_conflicts, Rule.CONFLICT),
        Bug(storing.trimmed_too_far, Rule.TRIMMED),
        Bug(storing.offsets_used_again, Rule.REUSED, "early stop"),
        Bug(storing.epoch_renewed, Rule.EPOCH, "after_commit"),
        Bug(delivering.delivery_dropped, Rule.MISSED),
        Bug(delivering.deliveries_swapped, Rule.DISORDER),
        Bug(delivering.delivery_doubled, Rule.REPEATED),
        Bug(answering.wrong_offset_acknowledged, Rule.MISPLACED),
        Bug(answering.retry_moved, Rule.MOVED),
        Bug(answering.retry_called_new, Rule.FORGOTTEN),
        Bug(answering.acknowledgements_swapped, Rule.OUT_OF_TURN),
        Bug(answering.acknowledgement_lost, Rule.UNANSWERED, patience=2.0),
        Bug(answering.seen_again_on_resume, Rule.REPEATED),
        Bug(answering.gap_in_recovery, Rule.GAP),
        Bug(answering.nothing_recovered, Rule.UNRECOVERED),
        Bug(answering.hole_after_the_newest, Rule.MISSED),
        Bug(answering.newest_left_out, Rule.INCOMPLETE),
        Bug(answering.trimmed_is_recovered, Rule.GAP, "after_commit"),
        Bug(changing.edit_of_another, Rule.UNFOLDED),
        Bug(changing.pins_unseen, Rule.UNFOLDED),
        Bug(changing.everybody_pins, Rule.MISTARGETED),
        Bug(changing.edits_left_by_delete, Rule.KEPT),
        Bug(changing.deleted_kept_in_memory, Rule.RESURRECTED),
        Bug(changing.delete_made_again, Rule.TWICE, "early stop"),
        Bug(changing.delete_judged_again, Rule.REFUSED),
        Bug(changing.text_back_on_retry, Rule.KEPT),
        Bug(changing.change_of_what_is_gone, Rule.MISTARGETED),
    )
}
