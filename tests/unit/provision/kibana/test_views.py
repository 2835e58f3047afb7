"""Kibana's saved objects against what Kibana takes, against each other, and against the mappings of the indices."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from logsluice.elasticsearch.templates import Properties, ServerFeatures, index_plans
from logsluice.extract import load_registry
from logsluice.provision.kibana import saved_objects
from logsluice.settings import Settings
from tests.unit.provision.kibana.kibana_schemas import (
    VISUALIZATIONS,
    AnyObject,
    Dashboard,
    DataView,
    DateColumn,
    FiltersColumn,
    Lens,
    NumberColumn,
    PercentileColumn,
    Search,
    TermsColumn,
)

ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyObject)
NAMED = {
    "index-pattern": {
        f"logsluice-{view}" for view in ("logs", "results", "metrics", "windows", "alerts", "dead-letters")
    },
    "search": {
        "logsluice-errors-by-service",
        "logsluice-user-journey",
        "logsluice-slow-requests",
        "logsluice-dead-letters-search",
    },
    "dashboard": {"logsluice-overview"},
}


@pytest.fixture(params=["dev", "prod"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(env=request.param)


@pytest.fixture
def objects(settings: Settings) -> list[Any]:
    """Every object, read by what Kibana takes."""
    return [ADAPTER.validate_python(entry) for entry in saved_objects(settings)]


def of(objects: list[Any], kind: type) -> list[Any]:
    return [entry for entry in objects if isinstance(entry, kind)]


def test_the_names_that_others_link_to_are_there(objects: list[Any]) -> None:
    for kind, names in NAMED.items():
        assert {entry.id for entry in objects if entry.type == kind} == names
    keys = [(entry.type, entry.id) for entry in objects]
    assert len(set(keys)) == len(keys)
    assert all(entry.managed for entry in objects)


def test_every_reference_leads_to_an_object_that_comes_before(objects: list[Any]) -> None:
    before: set[tuple[str, str]] = set()
    for entry in objects:
        names = [reference.name for reference in entry.references]
        assert len(set(names)) == len(names), entry.id
        assert {(reference.type, reference.id) for reference in entry.references} <= before, entry.id
        before.add((entry.type, entry.id))


def test_every_name_of_a_reference_is_used_and_the_other_way_round(objects: list[Any]) -> None:
    for entry in objects:
        names = {reference.name for reference in entry.references}
        if isinstance(entry, Search):
            assert names == {
                tab.attributes.kibanaSavedObjectMeta.searchSourceJSON.indexRefName for tab in entry.attributes.tabs
            }
        elif isinstance(entry, Lens):
            layers = entry.attributes.state.datasourceStates.formBased.layers
            assert names == {f"indexpattern-datasource-layer-{layer}" for layer in layers}
        elif isinstance(entry, Dashboard):
            panels = {f"{panel.panelIndex}:{panel.panelRefName}" for panel in entry.attributes.panelsJSON}
            controls = entry.attributes.controlGroupInput.panelsJSON
            assert names == panels | {f"controlGroup_{control}:optionsListDataView" for control in controls}
            types = {reference.name: reference.type for reference in entry.references}
            for panel in entry.attributes.panelsJSON:
                assert types[f"{panel.panelIndex}:{panel.panelRefName}"] == panel.type
        else:
            assert names == set()


def test_every_chart_is_on_the_dashboard_and_no_panel_covers_another(objects: list[Any]) -> None:
    [board] = of(objects, Dashboard)
    shown = {reference.id for reference in board.references if reference.type == "lens"}
    assert shown == {entry.id for entry in of(objects, Lens)}
    cells: set[tuple[int, int]] = set()
    for panel in board.attributes.panelsJSON:
        grid = panel.gridData
        assert grid.i == panel.panelIndex
        assert grid.x + grid.w <= 48
        own = set(itertools.product(range(grid.x, grid.x + grid.w), range(grid.y, grid.y + grid.h)))
        assert not own & cells, panel.panelIndex
        cells |= own
    # No holes either.
    assert len(cells) == 48 * (1 + max(y for _, y in cells))


def accessors(value: Any, key: str = "") -> Iterator[str]:
    """Every column that a visualization speaks of."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from accessors(inside, name)
    elif isinstance(value, list):
        for inside in value:
            yield from accessors(inside, key)
    elif key.lower().endswith(("accessor", "accessors", "columnid")) or key in ("primaryGroups", "metrics"):
        yield value


def test_every_chart_shows_columns_that_it_has_in_their_roles(objects: list[Any]) -> None:
    for chart in of(objects, Lens):
        state = chart.attributes.state
        VISUALIZATIONS[chart.attributes.visualizationType].model_validate(state.visualization)
        [(layer_id, layer)] = state.datasourceStates.formBased.layers.items()
        assert layer.columnOrder == list(layer.columns), chart.id
        kinds = [layer.columns[name].isBucketed for name in layer.columnOrder]
        assert kinds == sorted(kinds, reverse=True), f"{chart.id}: buckets come first"
        assert set(accessors(state.visualization)) == set(layer.columns), chart.id
        parts = state.visualization.get("layers", [state.visualization])
        assert [part["layerId"] for part in parts] == [layer_id]
        for part in parts:
            for role in ("xAccessor", "splitAccessor"):
                assert role not in part or layer.columns[part[role]].isBucketed, chart.id
            for name in [*part.get("accessors", ()), *part.get("metrics", ())]:
                assert not layer.columns[name].isBucketed, chart.id
        for column in layer.columns.values():
            if isinstance(column, TermsColumn):
                ranking = layer.columns[column.params.orderBy.columnId]
                assert not ranking.isBucketed, chart.id


def mappings(settings: Settings, objects: list[Any]) -> dict[str, Properties]:
    """The fields of each data view, by its id."""
    plans = index_plans(settings, load_registry().fields, ServerFeatures())
    by_alias = {plan.alias: plan.properties for plan in plans}
    views = {view.id: by_alias[view.attributes.title] for view in of(objects, DataView)}
    assert {view.attributes.title for view in of(objects, DataView)} == by_alias.keys()
    return views


def view_of(entry: Any) -> str:
    [view] = {reference.id for reference in entry.references if reference.type == "index-pattern"}
    return str(view)


def fields_of(query: str) -> set[str]:
    """The fields that a Lucene query names."""
    return set(re.findall(r"_exists_:([\w.]+)", query)) | {
        name for name in re.findall(r"([\w.]+):", query) if name != "_exists_"
    }


def test_every_field_is_in_the_mapping_with_a_type_that_suits(settings: Settings, objects: list[Any]) -> None:
    views = mappings(settings, objects)

    def searchable(view: str, *names: str) -> None:
        for name in names:
            assert name in views[view], f"{view} has no {name}"
            assert views[view][name].get("index", True), name

    def aggregatable(view: str, name: str, *types: str) -> None:
        searchable(view, name)
        assert views[view][name]["type"] in types, f"{name} is {views[view][name]['type']}"

    for view in of(objects, DataView):
        aggregatable(view.id, view.attributes.timeFieldName, "date")
        for name, entry in view.attributes.fieldFormatMap.items():
            aggregatable(view.id, name, *(("keyword",) if entry.id == "url" else ("long", "double")))
    for search in of(objects, Search):
        view = view_of(search)
        for tab in search.attributes.tabs:
            searchable(view, *tab.attributes.columns)
            searchable(view, *fields_of(tab.attributes.kibanaSavedObjectMeta.searchSourceJSON.query.query))
            aggregatable(view, tab.attributes.breakdownField, "keyword")
            for name, _ in tab.attributes.sort:
                aggregatable(view, name, "date", "long", "keyword")
    for board in of(objects, Dashboard):
        for reference in board.references:
            if reference.name.startswith("controlGroup_"):
                aggregatable(reference.id, reference.name.removeprefix("controlGroup_").partition(":")[0], "keyword")
    for chart in of(objects, Lens):
        view, state = view_of(chart), chart.attributes.state
        searchable(view, *fields_of(state.query.query))
        for column in state.datasourceStates.formBased.layers["layer"].columns.values():
            match column:
                case DateColumn():
                    aggregatable(view, column.sourceField, "date")
                case TermsColumn():
                    types = {"string": "keyword", "ip": "ip", "number": "long"}
                    aggregatable(view, column.sourceField, types[column.dataType])
                case PercentileColumn():
                    aggregatable(view, column.sourceField, "long", "double")
                case FiltersColumn():
                    for entry in column.params.filters:
                        searchable(view, *fields_of(entry.input.query))
                case NumberColumn(operationType="max"):
                    aggregatable(
                        view, column.sourceField, *(("date",) if column.dataType == "date" else ("long", "double"))
                    )
                case NumberColumn(operationType="unique_count"):
                    aggregatable(view, column.sourceField, "keyword", "ip")
                case NumberColumn(operationType="count"):
                    assert column.sourceField == "___records___"
            if getattr(column, "filter", None):
                searchable(view, *fields_of(column.filter.query))


def test_what_the_chooser_cannot_tell_is_left_as_it_is(settings: Settings, objects: list[Any]) -> None:
    """A chart of documents without service.name would be empty as soon as a service is chosen."""
    views = mappings(settings, objects)
    [board] = of(objects, Dashboard)
    for field in board.attributes.controlGroupInput.panelsJSON:
        for chart in of(objects, Lens):
            layer = chart.attributes.state.datasourceStates.formBased.layers["layer"]
            assert bool(layer.ignoreGlobalFilters) == (field not in views[view_of(chart)]), chart.id
