import { CONTAINER, DEVICE, GROUP, IOMMUFD, MIGRATION_DATA } from "../../uapi/commands.ts";

/** Names of the requests that a kernel was asked, by the kind of descriptor. */
export class Trace {
  readonly calls: string[] = [];

  note(kind: "container" | "group" | "device" | "iommufd" | "data", request: number): void {
    this.calls.push(NAMES[kind].get(request) ?? `${kind} 0x${request.toString(16)}`);
  }

  feature(id: number, direction: string): void {
    this.calls.push(`feature ${id} ${direction}`);
  }

  has(name: string): boolean {
    return this.calls.includes(name);
  }
}

const byNumber = (
  table: Readonly<Record<string, { readonly name: string; readonly number: number }>>,
): ReadonlyMap<number, string> =>
  new Map(Object.values(table).map(({ name, number }) => [number, name]));

const NAMES = {
  container: byNumber(CONTAINER),
  group: byNumber(GROUP),
  device: byNumber(DEVICE),
  iommufd: byNumber(IOMMUFD),
  data: byNumber(MIGRATION_DATA),
};
