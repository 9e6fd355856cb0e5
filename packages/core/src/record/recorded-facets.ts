import type { IovaRange } from "../device/dma.ts";
import type { DmaLoggingFacet } from "../dirty/dma-logging-facet.ts";
import type { MigrationFacet } from "../migration/migration-facet.ts";
import type { RecordedAnswer, RecordedCall } from "./events.ts";

/** Runs what is asked of a device, and records it with its answer. */
export type CallRecorder = <T>(
  call: RecordedCall,
  run: () => T,
  answerOf?: (value: Awaited<T>) => RecordedAnswer,
  failedOf?: () => RecordedAnswer,
) => T;

/** A migration facet of which every use is recorded. */
export function recordedMigration(facet: MigrationFacet, call: CallRecorder): MigrationFacet {
  const state = (): RecordedAnswer => ({ state: facet.state });
  return {
    capabilities: facet.capabilities,
    get state() {
      return facet.state;
    },
    setState: (target) =>
      call({ name: "state", target }, () => facet.setState(target), state, state),
    readData: (into) =>
      call(
        { name: "save", length: into.length },
        () => facet.readData(into),
        (count) => ({ data: into.slice(0, count) }),
      ),
    writeData: (from) => call({ name: "load", data: from }, () => facet.writeData(from)),
    dataSize: () =>
      call(
        { name: "size" },
        () => facet.dataSize(),
        (value) => ({ value }),
      ),
    precopyInfo: () =>
      call(
        { name: "precopy" },
        () => facet.precopyInfo(),
        ({ initialBytes }) => ({ value: initialBytes }),
      ),
  };
}

/** A log of device writes of which every use is recorded. */
export function recordedLogging(facet: DmaLoggingFacet, call: CallRecorder): DmaLoggingFacet {
  return {
    start: (request) =>
      call(
        {
          name: "log-start",
          pageSize: request.pageSize,
          ranges: request.ranges.map((range) => numbers(range)),
        },
        () => facet.start(request),
        (value) => ({ value }),
      ),
    stop: () => call({ name: "log-stop" }, () => facet.stop()),
    report: (range, pageSize, bitmap) =>
      call(
        { name: "log-report", ...numbers(range), pageSize },
        () => facet.report(range, pageSize, bitmap),
        () => ({ data: bitmap.slice() }),
      ),
  };
}

function numbers({ iova, size }: IovaRange): { readonly iova: number; readonly size: number } {
  return { iova: Number(iova), size: Number(size) };
}
