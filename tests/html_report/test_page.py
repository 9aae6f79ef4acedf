import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from soars_nnunet.errors import InputError
from soars_nnunet.html_report import page as page_module
from soars_nnunet.html_report.page import Markup, escape, facts, json_script, page, picture, section, table, write_page
from soars_nnunet.html_report.viewer import NIIVUE_VERSION


def test_all_but_markup_is_escaped():
    assert escape("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;" and escape(Markup("<b>")) == "<b>"
    assert (escape(None), escape(0), escape(2.5)) == ("–", "0", "2.5")


def test_tables_have_row_headers_and_mark_text(parse):
    made = table(["case <1>", "n"], [["<a>", 3], ["b", "-1.5"], ["c", "text"], ["d", None]], "cap & tion")
    read = parse(made)
    assert read.open == [] and read.rows["<a>"] == [("3",)] and read.rows["d"] == [("–",)]
    assert made.count('class="text"') == 1 and "cap & tion" in read.text and "case <1>" in read.rows
    assert parse(table(["only"], [])).rows == {"only": [()]}


def test_sections_and_facts_leave_out_what_is_empty(parse):
    read = parse(section("a < b", [facts({"x": "<y>", "none": None, "empty": "", "zero": 0})], note="n & m"))
    assert read.open == [] and read.text == "a < bn & mx<y>"


def test_pictures_are_in_the_page():
    figure = Figure(figsize=(1, 1))
    made = picture(figure, 'alt "text"', "<caption>")
    assert 'alt="alt &quot;text&quot;"' in made and "&lt;caption&gt;" in made
    assert re.search('src="data:image/png;base64,[A-Za-z0-9+/=]+"', made)


def test_data_cannot_end_their_script():
    made = json_script("x", {"name": "</script><script>&", "rows": np.arange(2).tolist()})
    assert made.count("</script>") == 1 and "&" not in made
    assert json.loads(made.partition(">")[2].removesuffix("</script>")) == {
        "name": "</script><script>&",
        "rows": [0, 1],
    }


def test_the_page_forbids_what_would_leave_it(parse):
    text = page("<title>", [section("s", [])], Markup("<script>1</script>"))
    read = parse(text)
    assert read.open == [] and "<title>" in read.text and "default-src 'none'" in text


def test_vendored_library_is_whole_and_licensed():
    library, licences = (page_module.package_text(f"niivue.{end}") for end in ("umd.js", "LICENSES.txt"))
    assert "</script" not in library and library.rstrip().endswith("});")
    assert f"NiiVue {NIIVUE_VERSION}" in licences and "BSD 2-Clause License" in licences and "*/" not in licences


def test_a_failed_write_leaves_the_former_page(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    write_page(path, page("old", []))

    def broken(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(ValueError, match="disk full"):
        write_page(path, "new")
    assert path.read_text() == page("old", []) and [file.name for file in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize("content", [b"<html>notes of the clinic</html>", b"", b"\xff\xfe\x00"])
def test_a_file_that_is_no_page_of_ours_is_not_overwritten(tmp_path, content):
    path = tmp_path / "r.html"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"r\.html: expected no file there, or an earlier page"):
        write_page(path, page("new", []))
    assert path.read_bytes() == content
    path.unlink()
    for title in ("first", "second"):
        write_page(path, page(title, []))
    assert "<h1>second</h1>" in path.read_text()
