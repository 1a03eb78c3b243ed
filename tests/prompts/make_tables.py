"""Write the five tables the prompts are asked about. All of it is invented; no row describes a person or a place.

Names, numbers and dates come from a seeded generator; the dirt (missing cells, doubled rows, stray spaces, mixed
case) is put in on purpose. Run `python tests/prompts/make_tables.py` to write the files anew; Excel needs openpyxl
and Parquet needs pyarrow.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).with_name("tables")
SEED = 20240611
DISTRICTS = (
    "Alder", "Birkholm", "Costa Norte", "Dunmore", "Élan", "Fairwater", "Grønby", "Hollins", "Île Verte", "Jarrow",
    "Kestrel", "Lindö", "Marsh End", "Nový Dvůr", "Oakham", "Peñas", "Quarry", "Rosée", "Sankt Olof", "Tarn",
    "Upwell", "Vilar", "Westerby", "Xàtara", "Yarrow", "Zell", "Amber Hill", "Brook", "Cliffe", "Dyke",
    "East Fen", "Ferry", "Glade", "Heath", "Inver", "Juniper", "Kiln", "Loch", "Mere", "Nettle",
)  # fmt: skip
CODES = tuple(f"{number:03d}" for number in range(3, 3 + 2 * len(DISTRICTS), 2))


def with_gaps(rng: np.random.Generator, values: np.ndarray | list, gaps: int) -> pd.Series:
    """The values with that many of them, drawn at random, missing."""
    column = pd.Series(values, dtype=object)
    column[rng.choice(len(column), gaps, replace=False)] = None
    return column


def clinic_visits(rng: np.random.Generator) -> pd.DataFrame:
    """One row per visit: 220, of which five stand twice."""
    rows = 220
    clinics = rng.choice(["Harbour", "Old Mill", "São Bento", "Nørrevej"], rows, p=[0.34, 0.27, 0.22, 0.17])
    days = pd.to_datetime("2023-01-02") + pd.to_timedelta(np.sort(rng.integers(0, 540, rows)), unit="D")
    diagnoses = ["Asthma", "Hypertension", "Type 2 diabetes", "Influenza", "Injury", "Anaemia"]
    base = pd.Series(clinics).map({"Harbour": 41, "Old Mill": 28, "São Bento": 35, "Nørrevej": 22})
    frame = pd.DataFrame(
        {
            "Visit ID": [f"V{number:04d}" for number in range(1, rows + 1)],
            "Visit Date": days.strftime("%Y-%m-%d"),
            "Clinic": clinics,
            "Sex": with_gaps(rng, rng.choice(["F", "M"], rows, p=[0.56, 0.44]), 6),
            "Age (years)": with_gaps(rng, rng.integers(1, 94, rows), 9).astype("Int64"),
            "Postcode": rng.choice(["0412", "0417", "0980", "1203", "1377", "0055"], rows),
            "Diagnosis": rng.choice(diagnoses, rows, p=[0.2, 0.25, 0.15, 0.18, 0.12, 0.1]),
            "Wait (min)": with_gaps(rng, np.round(rng.gamma(4, base / 4) + 2, 1), 11).astype(float),
            "Cost (EUR)": np.round(rng.lognormal(4.3, 0.6, rows), 2),
            "Follow-up": with_gaps(rng, rng.choice(["yes", "Yes", "YES", "no", "No"], rows), 4),
        }
    )
    twice = frame.iloc[np.sort(rng.choice(rows, 5, replace=False))]
    return pd.concat([frame, twice]).sort_values("Visit ID", kind="stable").reset_index(drop=True)


def vaccination(rng: np.random.Generator) -> pd.DataFrame:
    """One row per district, month and vaccine of 2023: 192, of which two stand twice."""
    rows = [
        {
            "district_code": CODES[number],
            "district": DISTRICTS[number],
            "month": f"2023-{month:02d}",
            "vaccine": vaccine,
            "doses_given": int(rng.integers(40, 400) + 12 * number),
            "doses wasted": int(rng.integers(0, 25)),
            "Coverage (%)": round(min(99.0, 58 + 2.2 * month + 1.5 * number + rng.normal(0, 3)), 1),
        }
        for number in range(8)
        for month in range(1, 13)
        for vaccine in ("MMR", "HPV")
    ]
    frame = pd.DataFrame(rows)
    frame.loc[rng.choice(len(frame), 7, replace=False), "Coverage (%)"] = np.nan
    frame["doses wasted"] = with_gaps(rng, frame["doses wasted"].to_list(), 3).astype("Int64")
    return pd.concat([frame, frame.iloc[[17, 101]]]).reset_index(drop=True)


def district_profile(rng: np.random.Generator) -> pd.DataFrame:
    """One row per district: 40."""
    rows = len(DISTRICTS)
    population = rng.integers(3_200, 98_000, rows)
    return pd.DataFrame(
        {
            "District Code": CODES,
            "District": DISTRICTS,
            "Région": rng.choice(["North", "South", "West", "Île-Est"], rows),
            "Population": population,
            "Area (km²)": np.round(rng.uniform(12, 640, rows), 1),
            "Median Income (EUR)": with_gaps(rng, rng.integers(180, 520, rows) * 100, 3).astype("Int64"),
            "Smokers (%)": with_gaps(rng, np.round(rng.normal(21, 5, rows), 1), 2).astype(float),
            "Doctors": (population / rng.uniform(400, 1500, rows)).astype(int) + 1,
            "Has Hospital": rng.random(rows) < 0.35,
        }
    )


def outbreak_cases(rng: np.random.Generator) -> pd.DataFrame:
    """One record per case: 160."""
    rows = 160
    onset = pd.to_datetime("2023-10-03") + pd.to_timedelta(np.sort(rng.integers(0, 150, rows)), unit="D")
    hospitalised = rng.random(rows) < 0.3
    outcomes = ["Recovered", "recovered", "Died", "died ", "Still ill"]
    notes = ["travelled abroad", "school contact", "Household contact", "none known", "works at market", "School trip"]
    days = pd.Series(rng.integers(1, 22, rows)).where(hospitalised)
    return pd.DataFrame(
        {
            "case_id": [f"C-{number:03d}" for number in range(1, rows + 1)],
            "onset_date": onset.strftime("%Y-%m-%d"),
            "report_date": (onset + pd.to_timedelta(rng.integers(0, 9, rows), unit="D")).strftime("%Y-%m-%d"),
            "age": with_gaps(rng, rng.integers(0, 90, rows), 5),
            "gender": with_gaps(rng, rng.choice(["female", "male"], rows), 4),
            "district_code": rng.choice([*CODES[:7], "099"], rows, p=[0.2, 0.18, 0.16, 0.14, 0.12, 0.1, 0.07, 0.03]),
            "outcome": with_gaps(rng, rng.choice(outcomes, rows, p=[0.55, 0.15, 0.1, 0.06, 0.14]), 6),
            "hospitalised": hospitalised,
            "days_in_hospital": days.astype("Int64").astype(object).where(days.notna(), None),
            "peak_temp_c": np.round(rng.normal(38.7, 0.7, rows), 1),
            "notes": with_gaps(rng, rng.choice(notes, rows), 12),
        }
    )


def air_quality(rng: np.random.Generator) -> pd.DataFrame:
    """One row per station and day: 300, the first hundred days of 2024."""
    days = pd.date_range("2024-01-01", periods=100, freq="D")
    parts = []
    for station, level in (("Centre-ville", 19.0), ("Port", 14.0), ("Forêt", 7.0)):
        dust = level + 4 * np.sin(np.arange(100) / 9) + rng.gamma(2, level / 8, 100)
        parts.append(
            pd.DataFrame(
                {
                    "date": days,
                    "station": station,
                    "PM2.5 (µg/m³)": np.round(dust, 2),
                    "NO2 (µg/m³)": np.round(1.4 * dust + rng.normal(6, 4, 100), 2),
                    "Ozone (µg/m³)": np.round(70 - 0.9 * dust + rng.normal(0, 6, 100), 2),
                    "Temp (°C)": np.round(4 + np.arange(100) / 11 + rng.normal(0, 2.5, 100), 1),
                    "ER asthma visits": rng.poisson(level / 4, 100),
                }
            )
        )
    frame = pd.concat(parts).sort_values(["date", "station"]).reset_index(drop=True)
    frame.loc[rng.choice(300, 13, replace=False), "PM2.5 (µg/m³)"] = np.nan
    frame.loc[rng.choice(300, 6, replace=False), "Temp (°C)"] = np.nan
    return frame


def main() -> None:
    """Write the five files."""
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(SEED)
    clinic_visits(rng).to_csv(FOLDER / "clinic_visits.csv", index=False)
    vaccination(rng).to_csv(FOLDER / "vaccination.tsv", sep="\t", index=False)
    district_profile(rng).to_excel(FOLDER / "district_profile.xlsx", index=False)
    records = json.loads(outbreak_cases(rng).to_json(orient="records", force_ascii=False))
    text = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    (FOLDER / "outbreak_cases.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    air_quality(rng).to_parquet(FOLDER / "air_quality.parquet", index=False)


if __name__ == "__main__":
    main()
