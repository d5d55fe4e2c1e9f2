"""The simulation of many GPUs against closed forms."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulate

ROOT = Path(__file__).parents[2]
EVEN = replace(simulate.Cluster(), step_deviation_ms=0.0, loaded_per_s=1e15)
"""steps that all take as long, and data that are there"""
FREE = {"inside_gb_s": 1e15, "between_gb_s": 1e15, "inside_us": 0.0, "between_us": 0.0}


@pytest.mark.parametrize("gpus", [1, 2, 8, 64, 1024])
def test_without_any_cost_nothing_is_lost(gpus):
    assert simulate.efficiency(replace(EVEN, **FREE), gpus) == pytest.approx(1.0)


def test_a_ring_moves_each_byte_nearly_twice_and_waits_for_each_of_its_steps():
    assert simulate.ring_s(1, 1e9, 1e9, 1.0) == 0.0
    assert simulate.ring_s(2, 1e9, 1e9, 0.0) == pytest.approx(1.0)
    assert simulate.ring_s(4, 1e9, 1e9, 0.0) == pytest.approx(1.5)
    assert simulate.ring_s(4, 0.0, 1e9, 0.25) == pytest.approx(1.5)


def test_nodes_add_to_the_time_within_a_node():
    cluster = replace(EVEN, gpus_per_node=4, parameters=25e6, inside_gb_s=10.0, between_gb_s=1.0)
    cluster = replace(cluster, inside_us=0.0, between_us=0.0)
    assert simulate.all_reduce_s(cluster, 4) == pytest.approx(1.5 * 0.01)
    assert simulate.all_reduce_s(cluster, 8) == pytest.approx(1.5 * 0.01 + 0.1)


@pytest.mark.parametrize("hidden", [0.0, 0.5, 1.0])
def test_only_the_part_of_the_all_reduce_that_is_not_hidden_counts(hidden):
    cluster = replace(EVEN, hidden=hidden)
    step = simulate.step_s(cluster, 8, np.random.default_rng(0))
    assert step == pytest.approx(0.18 + (1 - hidden) * simulate.all_reduce_s(cluster, 8))


@pytest.mark.parametrize("gpus", [2, 8, 64])
def test_the_slowest_of_exponential_steps_takes_a_harmonic_number_of_them(gpus):
    """Deviation equal to the mean: an exponential distribution; within four of the mean of draws."""
    cluster = replace(EVEN, step_ms=1000.0, step_deviation_ms=1000.0, hidden=1.0)
    harmonic = sum(1 / number for number in range(1, gpus + 1))
    spread = sum(1 / number**2 for number in range(1, gpus + 1)) ** 0.5
    found = simulate.step_s(cluster, gpus, np.random.default_rng(3))
    assert abs(found - harmonic) < 4 * spread / simulate.DRAWS**0.5


def test_loading_that_takes_longer_than_a_step_sets_its_pace():
    cluster = replace(EVEN, loaded_per_s=120.0, hidden=1.0)  # a batch of 120 a second for each node
    assert simulate.step_s(cluster, 1, np.random.default_rng(0)) == pytest.approx(1.0)
    assert simulate.step_s(cluster, 8, np.random.default_rng(0)) == pytest.approx(8.0)
    assert simulate.step_s(cluster, 16, np.random.default_rng(0)) == pytest.approx(8.0)


def test_the_table_states_what_it_assumes_and_refuses_what_cannot_be():
    text = simulate.table(EVEN)
    assert all(f"{name} " in text for name in vars(EVEN) if name != "measure")
    assert [line.split()[0] for line in text.splitlines()[-11:]] == [str(2**power) for power in range(11)]
    script = str(ROOT / "recipes" / "scale" / "simulate.py")
    outcome = subprocess.run(
        [sys.executable, script, "--step-ms", "0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 1 and "--step-ms is 0" in outcome.stderr
