from pathlib import Path

import pytest

from chatserver.client.tokens import GuestFile, refresh_in


@pytest.mark.parametrize(("life", "wait"), [(3600, 2880), (10, 8), (1, 1), (0, 1), (-5, 1)])
def test_a_token_is_refreshed_before_it_expires_but_never_without_a_pause(
    life: float, wait: float
) -> None:
    assert refresh_in(life) == wait


def test_a_file_that_is_not_there_keeps_nothing(tmp_path: Path) -> None:
    assert GuestFile(tmp_path / "guest").load() is None
    (tmp_path / "guest").write_text("\n")
    assert GuestFile(str(tmp_path / "guest")).load() is None


def test_the_file_is_replaced_and_stays_private(tmp_path: Path) -> None:
    keeper = GuestFile(tmp_path / "guest")
    for token in ("one", "two"):
        keeper.save(token)
        assert keeper.load() == token
    assert [each.name for each in tmp_path.iterdir()] == ["guest"]
    assert (tmp_path / "guest").stat().st_mode & 0o777 == 0o600
