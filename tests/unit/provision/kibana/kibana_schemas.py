"""What Kibana takes as attributes of the saved objects that we make, in our own words; nothing unknown is allowed.

From https://github.com/elastic/kibana, read on its way from 9.4 to 9.6, so that each says since when it holds:

- ``index-pattern`` 8.0.0: ``src/platform/plugins/shared/data_views`` (``server/saved_objects/data_views.ts`` with
  migrations up to 8.0.0, attributes as in ``server/content_management/schema/v1/cm_services.ts``; those that are
  objects there are JSON text in the saved object).
- ``search`` 10.13.0: ``src/platform/plugins/shared/saved_search/server/saved_objects/schema.ts``,
  ``SCHEMA_DISCOVER_SESSION_V13`` of March 2026; releases since then know newer ones too, and bring it up to theirs.
- ``lens`` 10.1.0: ``x-pack/platform/plugins/shared/lens/server`` (``saved_objects.ts``, model version 1;
  ``content_management/v1/schema/common.ts``). The state is untyped there; it is that of the plugin's types
  ``FormBasedPersistedState``, ``XYState``, ``MetricVisualizationState``, ``DatatableVisualizationState`` and
  ``PieVisualizationState`` at version 1 of the items, before ``common/content_management/v2`` split the accessors.
- ``dashboard`` 10.3.0: ``src/platform/plugins/shared/dashboard/server/dashboard_saved_object/schema`` (v1 to v3);
  panels and controls as in ``server/api/transforms/out``, which reads the stored ones.

What an import checks beside: ``src/core/packages/saved-objects/import-export-server-internal/src/import``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reference(_Strict):
    type: Literal["index-pattern", "search", "lens"]
    id: str
    name: str


class Query(_Strict):
    language: Literal["lucene", "kuery"]
    query: str


class SearchSource(_Strict):
    query: Query
    filter: Annotated[list[Any], Field(max_length=0)]
    indexRefName: str | None = None


class SearchSourceMeta(_Strict):
    searchSourceJSON: Json[SearchSource]


class FieldFormat(_Strict):
    id: Literal["duration", "number", "percent", "url"]
    params: dict[str, Any]


class DataViewAttributes(_Strict):
    title: str
    name: str
    timeFieldName: str
    allowNoIndex: bool
    fields: Json[list[Any]]
    fieldAttrs: Json[dict[str, Any]]
    fieldFormatMap: Json[dict[str, FieldFormat]]
    runtimeFieldMap: Json[dict[str, Any]]
    sourceFilters: Json[list[Any]]
    typeMeta: Json[dict[str, Any]]


class Empty(_Strict):
    pass


class TabAttributes(_Strict):
    columns: Annotated[list[str], Field(max_length=200)]
    sort: list[Annotated[list[str], Field(max_length=2)]]
    grid: Empty
    hideChart: bool
    hideTable: bool
    isTextBasedQuery: bool
    timeRestore: bool
    kibanaSavedObjectMeta: SearchSourceMeta
    breakdownField: str | None = None


class Tab(_Strict):
    id: str
    label: str
    attributes: TabAttributes


class SearchAttributes(_Strict):
    title: str
    description: str
    tabs: Annotated[list[Tab], Field(min_length=1, max_length=25)]


class EmptyAsNull(_Strict):
    emptyAsNull: bool


class NumberColumn(_Strict):
    operationType: Literal["count", "unique_count", "max"]
    sourceField: str
    label: str
    customLabel: bool
    dataType: Literal["number", "date"]
    isBucketed: Literal[False]
    scale: Literal["ratio"]
    params: EmptyAsNull
    filter: Query | None = None


class PercentileParams(_Strict):
    percentile: Annotated[int, Field(ge=1, le=99)]


class PercentileColumn(NumberColumn):
    operationType: Literal["percentile"]  # type: ignore[assignment]
    params: PercentileParams  # type: ignore[assignment]


class DateParams(_Strict):
    interval: Literal["auto"]
    includeEmptyRows: bool
    dropPartials: bool


class DateColumn(_Strict):
    operationType: Literal["date_histogram"]
    sourceField: str
    label: str
    dataType: Literal["date"]
    isBucketed: Literal[True]
    scale: Literal["interval"]
    params: DateParams


class OrderBy(_Strict):
    type: Literal["column"]
    columnId: str


class ParentFormat(_Strict):
    id: Literal["terms"]


class TermsParams(_Strict):
    size: Annotated[int, Field(ge=1, le=1_000)]
    orderBy: OrderBy
    orderDirection: Literal["asc", "desc"]
    otherBucket: bool
    missingBucket: bool
    parentFormat: ParentFormat


class TermsColumn(_Strict):
    operationType: Literal["terms"]
    sourceField: str
    label: str
    customLabel: bool
    dataType: Literal["string", "ip", "number"]
    isBucketed: Literal[True]
    scale: Literal["ordinal"]
    params: TermsParams


class NamedFilter(_Strict):
    label: str
    input: Query


class FiltersParams(_Strict):
    filters: Annotated[list[NamedFilter], Field(min_length=1)]


class FiltersColumn(_Strict):
    operationType: Literal["filters"]
    label: str
    customLabel: bool
    dataType: Literal["string"]
    isBucketed: Literal[True]
    scale: Literal["ordinal"]
    params: FiltersParams


Column = Annotated[
    NumberColumn | PercentileColumn | DateColumn | TermsColumn | FiltersColumn, Field(discriminator="operationType")
]


class Layer(_Strict):
    columnOrder: list[str]
    columns: dict[str, Column]
    incompleteColumns: Empty
    sampling: Literal[1]
    ignoreGlobalFilters: bool | None = None


class FormBased(_Strict):
    layers: dict[str, Layer]


class DatasourceStates(_Strict):
    formBased: FormBased


class Legend(_Strict):
    isVisible: bool
    position: Literal["top", "right", "bottom", "left"]


class AxisTitles(_Strict):
    x: bool
    yLeft: bool
    yRight: bool


SeriesType = Literal["bar_stacked", "bar_horizontal", "bar_horizontal_stacked", "line"]


class XYLayer(_Strict):
    layerId: str
    layerType: Literal["data"]
    seriesType: SeriesType
    xAccessor: str
    accessors: Annotated[list[str], Field(min_length=1)]
    position: Literal["top"]
    showGridlines: bool
    splitAccessor: str | None = None


class XY(_Strict):
    legend: Legend
    valueLabels: Literal["hide", "show"]
    fittingFunction: Literal["None"]
    axisTitlesVisibilitySettings: AxisTitles
    preferredSeriesType: SeriesType
    layers: Annotated[list[XYLayer], Field(min_length=1, max_length=1)]


class Metric(_Strict):
    layerId: str
    layerType: Literal["data"]
    metricAccessor: str


class TableColumn(_Strict):
    columnId: str
    isTransposed: bool


class Datatable(_Strict):
    layerId: str
    layerType: Literal["data"]
    columns: list[TableColumn]


class PieLayer(_Strict):
    layerId: str
    layerType: Literal["data"]
    primaryGroups: Annotated[list[str], Field(min_length=1)]
    metrics: Annotated[list[str], Field(min_length=1, max_length=1)]
    numberDisplay: Literal["percent", "value", "hidden"]
    categoryDisplay: Literal["default", "inside", "hide"]
    legendDisplay: Literal["default", "show", "hide"]
    nestedLegend: bool


class Pie(_Strict):
    shape: Literal["donut", "pie"]
    layers: Annotated[list[PieLayer], Field(min_length=1, max_length=1)]


VISUALIZATIONS: dict[str, type[BaseModel]] = {
    "lnsXY": XY,
    "lnsMetric": Metric,
    "lnsDatatable": Datatable,
    "lnsPie": Pie,
}


class LensState(_Strict):
    datasourceStates: DatasourceStates
    visualization: dict[str, Any]
    query: Query
    filters: Annotated[list[Any], Field(max_length=0)]
    internalReferences: Annotated[list[Any], Field(max_length=0)]
    adHocDataViews: Empty


class LensAttributes(_Strict):
    title: str
    description: str
    visualizationType: Literal["lnsXY", "lnsMetric", "lnsDatatable", "lnsPie"]
    version: Literal[1]
    state: LensState


class RefreshInterval(_Strict):
    pause: bool
    value: int


class Options(_Strict):
    useMargins: bool
    syncColors: bool
    syncCursor: bool
    syncTooltips: bool
    hidePanelTitles: bool


class GridData(_Strict):
    i: str
    x: Annotated[int, Field(ge=0, lt=48)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(ge=1, le=48)]
    h: Annotated[int, Field(ge=1)]


class StoredPanel(_Strict):
    type: Literal["lens", "search"]
    panelIndex: str
    panelRefName: str
    gridData: GridData
    embeddableConfig: Empty


class ControlInput(_Strict):
    id: str
    fieldName: str
    title: str


class StoredControl(_Strict):
    type: Literal["optionsListControl"]
    order: int
    width: Literal["small", "medium", "large"]
    grow: bool
    explicitInput: ControlInput


class ControlGroup(_Strict):
    controlStyle: Literal["oneLine", "twoLine"]
    chainingSystem: Literal["HIERARCHICAL", "NONE"]
    showApplySelections: bool
    panelsJSON: Json[dict[str, StoredControl]]


class DashboardAttributes(_Strict):
    title: str
    description: str
    timeRestore: bool
    timeFrom: str
    timeTo: str
    refreshInterval: RefreshInterval
    optionsJSON: Json[Options]
    kibanaSavedObjectMeta: SearchSourceMeta
    controlGroupInput: ControlGroup
    panelsJSON: Json[list[StoredPanel]]


class SavedObjectBase(_Strict):
    id: Annotated[str, Field(pattern=r"^logsluice-[a-z-]+$")]
    references: list[Reference]
    coreMigrationVersion: Literal["8.8.0"]
    managed: bool


class DataView(SavedObjectBase):
    type: Literal["index-pattern"]
    typeMigrationVersion: Literal["8.0.0"]
    attributes: DataViewAttributes


class Search(SavedObjectBase):
    type: Literal["search"]
    typeMigrationVersion: Literal["10.13.0"]
    attributes: SearchAttributes


class Lens(SavedObjectBase):
    type: Literal["lens"]
    typeMigrationVersion: Literal["10.1.0"]
    attributes: LensAttributes


class Dashboard(SavedObjectBase):
    type: Literal["dashboard"]
    typeMigrationVersion: Literal["10.3.0"]
    attributes: DashboardAttributes


AnyObject = Annotated[DataView | Search | Lens | Dashboard, Field(discriminator="type")]
