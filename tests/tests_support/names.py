"""Names that nobody should give a file."""

from hypothesis import strategies as st

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "/\\:*?.-_ ~$\x00\n\u200c\u200d\u200b\ufe0f\u202e\u0301\u0338❤🔥ی가\ud800\U000e0067\uf022conCON19"
        ),
    ),
    max_size=30,
)
LONG = st.builds(
    lambda start, middle, times, end: start + middle * times + end, st.sampled_from(["", "con", "-", ".", "a"]),
    st.sampled_from(["x", " ", ".", "ж", "👩\u200d🚀", "e\u0301", "가", "-"]), st.integers(1, 400),
    st.sampled_from(["", ".csv", ".tar.gz", "." + "y" * 60, "x.csv", "."]),
)  # fmt: skip
