"""``soars-report``: one self-contained HTML file for an evaluation or a prediction; no request leaves the page."""
