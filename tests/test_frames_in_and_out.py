"""A large DataFrame goes into a cell and a table comes out; asked again, nothing is uploaded."""

import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal
from tests_support import events as wire


def cases(rows):
    count = np.arange(rows)
    days = pd.to_timedelta(count % 9000, unit="D")
    return pd.DataFrame({
        "IU code": np.array([f"{n:05d}" for n in range(997)], dtype=object)[count % 997],
        "country": pd.Categorical(np.array(["NA", "ZA", "BW"])[count % 3], ["BW", "NA", "ZA"]),
        "day": pd.Timestamp("2000-01-01") + days, "coverage": count / 7,
        "treated": pd.Series(count * 3, dtype="Int64").mask(pd.Series(count % 5 == 0)),
    })  # fmt: skip


def test_rows_go_in_and_come_out_with_equal_dtypes(shell):
    shell.user_ns["cases"] = frame = cases(20_000)
    code = "import shutil\nshutil.copy('cases.csv', 'back.csv')"
    shell.run_cell(f"%%assistant -i cases -o back\n```python\n{code}\n```").raise_error()
    assert_frame_equal(shell.user_ns["back"], frame)


def test_a_second_cell_with_the_same_table_uploads_nothing(shell, hosted):
    for _ in range(2):
        hosted.will_say([wire.Code("pass", container_id="cntr_test_1"), wire.Message("Done.")])
    hosted.will_say([wire.Message("Done again.")])
    uploads, table = [], cases(3_000)
    for shell.user_ns["cases"] in (table, table.copy(), table.iloc[:-1]):
        shell.run_cell(f"%%assistant -i cases\nCount the rows, {len(uploads)}.").raise_error()
        uploads.append(len(hosted.asked("^POST /v1/containers/.*/files$")))
    assert uploads == [1, 1, 2]
