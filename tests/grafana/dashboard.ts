// The type that check.mjs makes a schema of.
export type { Dashboard } from '@grafana/schema';
