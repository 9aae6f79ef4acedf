"""scripts/write_reference.py: every page that it writes is the committed one."""

from scripts import write_reference


def test_committed_pages_are_what_the_script_writes(tmp_path, monkeypatch):
    committed = {name: (write_reference.FOLDER / name).read_text(encoding="utf-8") for name in write_reference.PAGES}
    monkeypatch.setattr(write_reference, "FOLDER", tmp_path / "reference")
    write_reference.main()
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "reference").iterdir()}
    assert written == committed and "commands.md" in written
