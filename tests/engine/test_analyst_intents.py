"""What the analyst does beyond means and lines: what is saved equals what pandas makes of the file independently."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from analyst_kernel import Answered, Container, answer, put

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

ORDERS = pd.DataFrame(
    {
        "order_id": range(101, 113),
        "order_date": pd.date_range("2021-11-05", periods=12, freq="17D").strftime("%Y-%m-%d"),
        "customer_id": [1, 2, 3, 1, 2, 9, 1, 3, 3, 2, 1, 2],
        "product": ["Lamp", "Desk", "Lamp", "Chair", "Lamp", "Desk", "Chair", "Lamp", "Desk", "Lamp", "Chair", "Desk"],
        "quantity": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
        "price": [10, 200, 10, 50, 12.5, 200, 50, 12.5, 180, 10, 45, 200],
        "returned": ["no", "no", "yes", "no", "no", "yes", "no", "no", "no", "no", "yes", "no"],
    }
)
ORDERS.loc[4, "price"] = np.nan
CUSTOMERS = pd.DataFrame({"customer_id": [1, 2, 3, 4], "segment": ["Home", "Office", "Home", "School"]})
MONTH = pd.to_datetime(ORDERS["order_date"]).dt.strftime("%Y-%m")


@pytest.fixture
def container(kernel: BlockingKernelClient, tmp_path) -> Container:
    container = Container(kernel, tmp_path)
    put(container, "orders.csv", ORDERS)
    return container


@pytest.fixture
def ask(container):
    def asking(prompt: str) -> Answered:
        return asyncio.run(answer(prompt, container))

    return asking


def saved(container: Container, prompt: str) -> pd.DataFrame:
    """The table that a prompt writes as `x.csv`."""
    got = asyncio.run(answer(f"{prompt} as x.csv", container))
    assert got.refused == "", got.refused
    found = pd.read_csv(container.folder / "x.csv")
    (container.folder / "x.csv").unlink()
    return found


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same values in the same places; the columns may be called otherwise."""
    expected = expected.reset_index(drop=True).set_axis(found.columns, axis=1)
    pd.testing.assert_frame_equal(found, expected.infer_objects(), check_dtype=False, check_index_type=False)


def test_periods_shares_changes_and_running_totals_follow_from_groups(container):
    monthly = ORDERS.groupby(MONTH)["quantity"].sum()

    same(
        saved(container, "running total of quantity per month"),
        pd.DataFrame([monthly.index, monthly, monthly.cumsum()]).T,
    )
    found = saved(container, "change in total quantity per month")
    same(found, pd.DataFrame({"m": monthly.index, "q": monthly.to_numpy(), "c": monthly.diff().to_numpy()}))
    totals = ORDERS.groupby("product")["quantity"].sum()
    same(
        saved(container, "share of total quantity by product"),
        pd.DataFrame([totals.index, totals, 100 * totals / totals.sum()]).T,
    )


def test_a_pivot_has_the_values_of_a_key_as_columns(container):
    found = saved(container, "pivot of total quantity by month and product")

    assert found.columns.tolist() == ["month", "Chair", "Desk", "Lamp"]
    same(found.drop(columns="month"), ORDERS.groupby([MONTH, "product"])["quantity"].sum().unstack())


def test_a_top_within_groups_is_taken_within_each(container):
    found = saved(container, "top 1 product per month by total quantity")

    totals = ORDERS.groupby([MONTH.rename("month"), "product"])["quantity"].sum().reset_index()
    best = totals[totals.groupby("month")["quantity"].rank(method="min", ascending=False) == 1]
    assert (
        found.sort_values(["month", "product"]).to_numpy().tolist()
        == best[["product", "month", "quantity"]].to_numpy().tolist()
    )


def test_a_column_is_calculated_and_used_in_the_same_prompt(container):
    found = saved(container, "total revenue per product where revenue = quantity * price, highest first")

    revenue = (ORDERS["quantity"] * ORDERS["price"]).groupby(ORDERS["product"]).sum().sort_values(ascending=False)
    same(found, revenue.reset_index())
    added = saved(container, "add a column revenue = quantity * price and save it")
    assert added["revenue"].tolist() == pytest.approx((ORDERS["quantity"] * ORDERS["price"]).tolist(), nan_ok=True)
    assert added.drop(columns="revenue").columns.tolist() == ORDERS.columns.tolist()


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("orders in December 2021", MONTH == "2021-12"),
        ("orders since 1 March 2022", ORDERS["order_date"] >= "2022-03-01"),
        ("orders where price is missing", ORDERS["price"].isna()),
        ("orders with price under 12 or over 180", (ORDERS["price"] < 12) | (ORDERS["price"] > 180)),
        ("orders with quantity above the average", ORDERS["quantity"] > ORDERS["quantity"].mean()),
        ("orders where product contains 'es'", ORDERS["product"] == "Desk"),
        ("returned orders", ORDERS["returned"] == "yes"),
        ("orders that were not returned", ORDERS["returned"] == "no"),
        ("orders in the latest month", MONTH.max() == MONTH),
        ("orders for Lamps", None),
    ],
)
def test_rows_are_chosen_by_what_is_said_of_them(container, words, chosen):
    if chosen is None:
        assert "“Lamps”" in asyncio.run(answer(words, container)).refused
        return
    assert saved(container, f"list {words}")["order_id"].tolist() == ORDERS["order_id"][chosen].tolist()


def test_groups_are_chosen_by_their_own_numbers(container):
    found = saved(container, "customers with total quantity over 12")

    totals = ORDERS.groupby("customer_id")["quantity"].sum()
    same(found, totals[totals > 12].reset_index())


def test_missing_duplicates_and_different_values_are_counted(container):
    put(container, "orders.csv", pd.concat([ORDERS, ORDERS.iloc[[2, 5]]]))

    assert saved(container, "missing values per column").set_index("column")["missing"].to_dict()["price"] == 1
    same(saved(container, "remove duplicates"), ORDERS)
    assert saved(container, "show duplicate rows")["order_id"].tolist() == [103, 103, 106, 106]
    assert saved(container, "unique products").to_numpy().tolist() == [["Chair"], ["Desk"], ["Lamp"]]
    assert saved(container, "how many different products").to_numpy().tolist() == [[3]]


def test_two_tables_are_put_together_and_what_has_no_match_is_said(container):
    put(container, "customers.csv", CUSTOMERS)
    both = ORDERS.merge(CUSTOMERS, on="customer_id", how="left")
    got = asyncio.run(answer("total quantity per segment as x.csv", container))

    assert "with the same **customer_id**" in got.said
    assert "1 row of **orders.csv** has no match" in got.said
    same(pd.read_csv(container.folder / "x.csv"), both.groupby("segment")["quantity"].sum().reset_index())
    (container.folder / "x.csv").unlink()
    inner = saved(container, "inner join orders and customers, save")
    assert inner["order_id"].tolist() == both.dropna(subset="segment")["order_id"].tolist()
    assert "not on another column" in asyncio.run(answer("join orders with customers on segment", container)).refused


def test_correlations_are_those_of_pandas(container):
    found = saved(container, "correlation of quantity and price")

    assert found.drop(columns="column").to_numpy() == pytest.approx(ORDERS[["quantity", "price"]].corr().to_numpy())


@pytest.mark.parametrize("ending", ["json", "html", "md", "xlsx", "parquet"])
def test_a_table_is_converted_and_its_cells_stay(container, ending):
    for package in {"xlsx": ["openpyxl"], "parquet": ["pyarrow"]}.get(ending, []):
        pytest.importorskip(package)
    put(container, "codes.csv", 'code,n,note\n007,1.5,"a | b"\n012,,<b>\n')
    (container.folder / "orders.csv").unlink()
    got = asyncio.run(answer(f"save the table as t.{ending}", container))

    path = container.folder / f"t.{ending}"
    assert got.files == (path.name,)
    assert "[t." + ending in got.said
    match ending:
        case "json":
            assert json.loads(path.read_text()) == [
                {"code": "007", "n": 1.5, "note": "a | b"},
                {"code": "012", "n": None, "note": "<b>"},
            ]
        case "html":
            assert "<td>007</td>" in path.read_text()
            assert "&lt;b&gt;" in path.read_text()
        case "md":
            assert path.read_text().splitlines()[2] == "| 007 | 1.5 | a \\| b |"
        case "xlsx":
            assert pd.read_excel(path, dtype={"code": str})["code"].tolist() == ["007", "012"]
        case "parquet":
            assert pd.read_parquet(path)["code"].tolist() == ["007", "012"]


@pytest.mark.parametrize("ending", ["json", "xlsx", "parquet"])
def test_tables_of_every_kind_are_read(container, ending):
    for package in {"xlsx": ["openpyxl"], "parquet": ["pyarrow"]}.get(ending, []):
        pytest.importorskip(package)
    table = pd.DataFrame({"code": ["007", "012", "007"], "day": pd.date_range("2021-01-30", periods=3), "n": [1, 2, 4]})
    path = container.folder / f"t.{ending}"
    match ending:
        case "json":
            table.to_json(path, orient="records", date_format="iso")
        case "xlsx":
            table.to_excel(path, index=False)
        case "parquet":
            table.to_parquet(path)
    (container.folder / "orders.csv").unlink()

    assert asyncio.run(answer("total n per code as codes.csv", container)).files == ("codes.csv",)
    assert (container.folder / "codes.csv").read_text() == "code,n\n007,5\n012,2\n"
    (container.folder / "codes.csv").unlink()
    assert saved(container, "total n per month").to_numpy().tolist() == [["2021-01", 3], ["2021-02", 4]]


@pytest.mark.parametrize(
    "prompt",
    [
        "average of the top 3 quantities per product",
        "mean quantity per product for the first 50 rows",
        "cumulative share of quantity per month",
        "orders where product is Lamp or quantity over 5 and price over 100",
        "total quantity per product with 5 bins",
        "average monthly quantity",
        "quantity per product, worst first",
        "total order_id per product",
        "weighted mean quantity per product",
        "total quantity by product as a pie chart",
        "max quantity and the order date",
        "top 2 orders by quantity per product",
        "mean and max quantity per product, sorted by max quantity",
        "orders for Lamp with quantity above the average",
        "orders by quantity",
    ],
)
def test_what_would_lose_a_part_of_the_request_is_refused(ask, prompt):
    got = ask(prompt)

    assert got.code == ""
    assert "No model was used" in got.refused


def test_a_slip_in_a_value_is_read_and_said(container):
    put(container, "t.csv", "site,v\nHarbour,1\nOld Mill,2\nHarbour,4\n")
    (container.folder / "orders.csv").unlink()
    got = asyncio.run(answer("total v for Harbuor as x.csv", container))

    assert "“Harbuor” was read as “Harbour”" in got.said
    assert pd.read_csv(container.folder / "x.csv").to_numpy().tolist() == [[5]]
