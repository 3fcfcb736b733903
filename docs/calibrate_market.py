#!/usr/bin/env python3
"""Fits the numbers of src/simulation/market.toml that come from public data.

    python3 docs/calibrate_market.py DATA

DATA is the directory that holds bank_marketing/calls.csv.gz and cdnow/transactions.csv.gz. Needs nothing but Python.
"""
import collections
import csv
import datetime
import gzip
import math
import sys

data = sys.argv[1] if len(sys.argv) > 1 else "../shared/data"


def rows(name):
    return csv.DictReader(gzip.open(f"{data}/{name}", "rt"))


# Acceptance by the number of the call: a exp(-d (number - 1)), by maximum likelihood over calls 1 to 10.
calls = collections.defaultdict(lambda: [0, 0])
for row in rows("bank_marketing/calls.csv.gz"):
    number = int(row["campaign"])
    calls[number][0] += 1
    calls[number][1] += row["y"] == "yes"
for number in range(1, 11):
    asked, taken = calls[number]
    print(f"call {number:2}: {taken:5} of {asked:6} = {taken / asked:.3f}")
likelihoods = {}
for a in (a / 1000 for a in range(100, 170)):
    for d in (d / 500 for d in range(0, 150)):
        shares = [(a * math.exp(-d * (number - 1)), *calls[number]) for number in range(1, 11)]
        likelihoods[a, d] = sum(y * math.log(p) + (n - y) * math.log(1 - p) for p, n, y in shares)
a, d = max(likelihoods, key=likelihoods.get)
print(f"acceptance = {a:.3f} exp(-{d:.3f} (call - 1))")

# Purchase rates: a negative binomial distribution with the mean and the share of none of CDNOW's first year.
days = collections.defaultdict(set)
values = []
for row in rows("cdnow/transactions.csv.gz"):
    days[row["customer_id"]].add(datetime.date.fromisoformat(row["date"]))
    values.append(float(row["dollars"]))
repeats = [sum(day <= min(of) + datetime.timedelta(364) for day in of) - 1 for of in days.values()]
mean = sum(repeats) / len(repeats)
none = sum(count == 0 for count in repeats) / len(repeats)
low, high = 0.01, 5.0
for _ in range(60):
    shape = (low + high) / 2
    low, high = (shape, high) if (1 + mean / shape) ** -shape > none else (low, shape)
print(f"{len(repeats)} customers, {mean:.2f} repeats in a year, {none:.1%} with none, mean value {sum(values) / len(values):.1f}")
print(f"shape {shape:.3f}, scale {shape / (mean / 52):.2f} weeks")
