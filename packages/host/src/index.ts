export { openHost, traceFileOf, type Host, type HostOptions } from "./host.ts";
export { runScenario, type ScenarioRun } from "./run-scenario.ts";
export type { DeviceProcess } from "./device-process/device-process.ts";
