// Draws one dashboard with Grafana's own libraries: the file ?dashboard=NAME, data from a Prometheus behind /api. Only what
// our dashboards use is drawn; Grafana's library has no state timeline, so that one is a plain bar of the same colours.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import * as grafana from '@grafana/data';
import { BarGauge, BigValue, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeValueMode, VizOrientation } from '@grafana/schema';
import { initPluginTranslations } from '@grafana/i18n';

const WIDTH = 1600;
const CELL = 38;
const asked = new URLSearchParams(location.search);
const minutes = Number(asked.get('minutes') ?? 15);
const theme = grafana.createTheme({ colors: { mode: (asked.get('theme') ?? 'dark') as 'dark' | 'light' } });
const now = Date.now();
const from = now - minutes * 60e3;
const timeRange: any = { from: grafana.dateTime(from), to: grafana.dateTime(now), raw: { from: `now-${minutes}m`, to: 'now' } };
const variables: Record<string, string> = {
  datasource: 'prometheus', job: '.+', instance: '.+', platform: '.*', site: '.*', sweep: '.*', policy: '.*',
  device: asked.get('device') ?? '', __rate_interval: '1m', __interval: '15s', __range: `${minutes}m`,
};
const filled = (text: string) => text.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (whole, name) => variables[name] ?? whole);

async function frames(target: any): Promise<any[]> {
  const query = encodeURIComponent(filled(target.expr));
  const url = target.instant
    ? `/api/v1/query?query=${query}&time=${now / 1000}`
    : `/api/v1/query_range?query=${query}&start=${from / 1000}&end=${now / 1000}&step=${Math.max(5, minutes / 4)}`;
  const answer = await (await fetch(url)).json();
  if (answer.status !== 'success') throw new Error(`${target.expr}: ${answer.error}`);
  const series: any[] = answer.data.result;
  if (target.format === 'table') return series.length ? [table(target, series)] : [];
  return series.map((one) => line(target, one));
}

function table(target: any, series: any[]) {
  const labels = [...new Set<string>(series.flatMap((one) => Object.keys(one.metric)))];
  return grafana.toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: grafana.FieldType.time, values: series.map((one) => one.value[0] * 1e3) },
      ...labels.map((label) => ({ name: label, type: grafana.FieldType.string, values: series.map((one) => one.metric[label] ?? '') })),
      { name: 'Value', type: grafana.FieldType.number, values: series.map((one) => Number(one.value[1])) },
    ],
  });
}

function line(target: any, one: any) {
  const labels: Record<string, string> = one.metric;
  const own = Object.entries(labels).map(([key, value]) => `${key}="${value}"`).join(', ');
  const name = target.legendFormat === '__auto' ? own || 'value' : target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_: string, label: string) => labels[label] ?? '');
  const points: [number, string][] = one.values ?? [one.value];
  return grafana.toDataFrame({
    refId: target.refId,
    name,
    fields: [
      { name: 'Time', type: grafana.FieldType.time, values: points.map(([at]) => at * 1e3) },
      { name: 'Value', type: grafana.FieldType.number, labels, config: { displayNameFromDS: name }, values: points.map(([, value]) => (value === 'NaN' ? null : Number(value))) },
    ],
  });
}

async function data(panel: any, registry: any) {
  let found = (await Promise.all((panel.targets ?? []).map(frames))).flat();
  if (panel.transformations?.length && found.length) {
    found = await new Promise((done) => grafana.transformDataFrame(panel.transformations, found, { interpolate: filled } as any).subscribe(done as any));
  }
  return grafana.applyFieldOverrides({ data: found, fieldConfig: panel.fieldConfig, replaceVariables: filled as any, theme, timeZone: 'utc', fieldConfigRegistry: registry });
}

function Drawn({ panel, found, width, height }: any) {
  if (!found.length && panel.type !== 'stat') return <div style={{ padding: 8, opacity: 0.6 }}>No data</div>;
  const values = () => grafana.getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: filled as any, theme, data: found, sparkline: true, timeZone: 'utc' } as any);
  switch (panel.type) {
    case 'stat':
      return <div style={{ display: 'flex' }}>{values().map((value: any, at: number, all: any[]) => (
        <BigValue key={at} theme={theme} width={width / all.length} height={height} value={value.display} sparkline={value.sparkline} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={panel.options.textMode} />
      ))}</div>;
    case 'bargauge':
      return <div>{values().map((value: any, at: number) => (
        <BarGauge key={at} theme={theme} width={width} height={Math.min(24, height / values().length)} value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} orientation={VizOrientation.Horizontal} displayMode={BarGaugeDisplayMode.Basic} namePlacement={BarGaugeNamePlacement.Left} valueDisplayMode={BarGaugeValueMode.Color} itemSpacing={4} lcdCellWidth={12} showUnfilled={false} />
      ))}</div>;
    case 'timeseries':
      return <TimeSeries frames={found} structureRev={1} timeRange={timeRange} timeZone="utc" width={width} height={height} legend={panel.options.legend} options={panel.options} {...({ timeZones: ['utc'] } as any)}>{() => <></>}</TimeSeries>;
    case 'state-timeline':
      return <States found={found} />;
    default:
      return <TableNG data={found[0]} width={width} height={height} structureRev={1} {...({ fieldConfig: panel.fieldConfig, getActions: () => [], timeRange } as any)} />;
  }
}

function States({ found }: any) {
  return <>{found.map((frame: any, at: number) => {
    const [times, values] = frame.fields;
    return <div key={at} style={{ display: 'flex', alignItems: 'center', margin: 4, fontSize: 12 }}>
      <div style={{ width: 140 }}>{frame.name}</div>
      <div style={{ position: 'relative', flex: 1, height: 22 }}>{times.values.map((time: number, point: number) => (
        <div key={point} title={String(values.values[point])} style={{ position: 'absolute', left: `${((time - from) / (now - from)) * 100}%`, width: '2%', height: 22, background: values.display(values.values[point]).color }} />
      ))}</div>
    </div>;
  })}</>;
}

function Panel({ panel, registry }: any) {
  const [state, setState] = React.useState<any>({ is: 'loading' });
  React.useEffect(() => { data(panel, registry).then((found) => setState({ is: found.length ? 'ok' : 'empty', found }), (error) => setState({ is: 'error', error })); }, []);
  const { x, y, w, h } = panel.gridPos;
  const place: React.CSSProperties = { position: 'absolute', left: (x * WIDTH) / 24, top: 48 + y * CELL };
  if (panel.type === 'row') return <h5 style={place}>{panel.title}</h5>;
  return (
    <div style={place} data-panel={panel.title} data-state={state.is}>
      <PanelChrome title={panel.title} description={panel.description} width={(w * WIDTH) / 24 - 8} height={h * CELL - 8}>
        {(width: number, height: number) => state.is === 'loading' ? <></> : state.is === 'error' ? <pre>{String(state.error)}</pre> : <Drawn panel={panel} found={state.found} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

async function main() {
  await initPluginTranslations('grafana-ui').catch(() => undefined);
  const transformers = Object.values(grafana.standardTransformers as any).filter((one: any) => one?.id && one?.operator) as any[];
  const unique = [...new Map(transformers.map((one) => [one.id, one])).values()];
  grafana.standardTransformersRegistry.setInit(() => unique.map((one) => ({ id: one.id, name: one.name, transformation: async () => one, editor: null, aliasIds: [] }) as any));
  const editor = (id: string) => ({ id, path: id, name: id, editor: () => null, override: () => null, process: (value: any) => value, shouldApply: () => true, settings: {} });
  grafana.standardFieldConfigEditorRegistry.setInit(() => ['displayName', 'unit', 'min', 'max', 'decimals', 'thresholds', 'mappings', 'noValue', 'color', 'links'].map(editor) as any);
  const custom = ['lineWidth', 'fillOpacity', 'width', 'align', 'drawStyle', 'lineInterpolation', 'spanNulls', 'showPoints', 'pointSize', 'stacking', 'hideFrom', 'cellOptions', 'filterable'];
  const registry = new grafana.PanelPlugin(() => null).useFieldConfig({ useCustomConfig: (builder: any) => custom.forEach((path) => builder.addCustomEditor(editor(path))) }).fieldConfigRegistry;
  const dashboard = await (await fetch(`/dashboards/${asked.get('dashboard')}.json`)).json();
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }: any) => gridPos.y + gridPos.h));
  createRoot(document.getElementById('root')!).render(
    <grafana.ThemeContext.Provider value={theme}>
      <MemoryRouter>
        <div style={{ position: 'relative', background: theme.colors.background.canvas, color: theme.colors.text.primary, width: WIDTH + 16, height: 60 + bottom * CELL, padding: 8 }}>
          <h4>{dashboard.title}</h4>
          {dashboard.panels.map((panel: any) => <Panel key={panel.id} panel={panel} registry={registry} />)}
        </div>
      </MemoryRouter>
    </grafana.ThemeContext.Provider>,
  );
}

main();
