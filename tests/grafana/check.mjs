// Checks every dashboard against the types that Grafana publishes as @grafana/schema: no field that Grafana doesn't
// know, none missing, none of another type. Run by `make dashboards`, in a folder where package.json is installed.
import fs from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv';
import tsj from 'ts-json-schema-generator';

const [folder] = process.argv.slice(2);
const schema = tsj
  .createGenerator({
    path: 'dashboard.ts',
    tsconfig: 'tsconfig.json',
    type: 'Dashboard',
    skipTypeCheck: true,
    additionalProperties: false,
    expose: 'none',
    jsDoc: 'none',
  })
  .createSchema('Dashboard');

// What a query of annotations holds beside the common fields is its data source's own; these are Prometheus's.
const annotation = schema.definitions.Dashboard.properties.annotations.properties.list.items;
for (const field of ['expr', 'step', 'tagKeys', 'titleFormat', 'textFormat', 'useValueForTime']) {
  annotation.properties[field] = { type: 'string' };
}

const validate = new Ajv({ allErrors: true, strict: false }).compile(schema);
// The faults of a dashboard, a line each.
function faults(dashboard) {
  if (validate(dashboard)) return [];
  return validate.errors
    .filter(({ keyword }) => keyword !== 'anyOf')
    .map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
}

// A schema that lets everything pass would be of no use.
function spoilt(dashboard) {
  const [panel] = dashboard.panels;
  return [
    { ...dashboard, tittle: '' },
    { ...dashboard, refresh: 1 },
    { ...dashboard, panels: [{ ...panel, gridPos: { x: 0 } }] },
  ];
}

const files = fs.readdirSync(folder).filter((file) => file.endsWith('.json'));
const found = files.flatMap((file) => {
  const dashboard = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'));
  const taken = spoilt(dashboard).filter((one) => faults(one).length === 0);
  return [...faults(dashboard), ...taken.map(() => 'a spoilt copy was taken for good')].map((fault) => `${file}: ${fault}`);
});
for (const fault of found) console.error(fault);
console.log(`${files.length} dashboards, ${found.length} faults`);
process.exit(files.length > 0 && found.length === 0 ? 0 : 1);
