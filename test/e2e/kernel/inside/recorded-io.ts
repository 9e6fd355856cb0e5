import { channel, type Channel } from "node:diagnostics_channel";
import { readlinkSync } from "node:fs";
import { VfmigError } from "@vfmig/core";
import { createLinuxIo, type NativeIo } from "@vfmig/linux";
// Not public: the names that the package's table of requests has.
import {
  CONTAINER,
  DEVICE,
  FEATURE,
  GROUP,
  IOMMUFD,
  MIGRATION_DATA,
  type Command,
} from "../../../../packages/vfio-pci-base/src/uapi/commands.ts";
import { FEATURE_FLAG, FEATURE_HEAD } from "../../../../packages/vfio-pci-base/src/uapi/feature.ts";

/** One request to the kernel's VFIO or iommufd, and what came of it. */
export interface MadeRequest {
  /** Which way the device was opened. */
  readonly path: "group" | "iommufd";
  /** `VFIO_DEVICE_RESET`, or `feature 2 set`. */
  readonly name: string;
  /** `ok`, or the errno. */
  readonly result: string;
}

type Kind = "container" | "group" | "device" | "iommufd" | "data";

interface File {
  readonly kind: Kind;
  readonly path: MadeRequest["path"];
}

const byNumber = (table: Readonly<Record<string, Command>>): ReadonlyMap<number, string> =>
  new Map(Object.values(table).map(({ name, number }) => [number, name]));

const NAMES: Readonly<Record<Kind, ReadonlyMap<number, string>>> = {
  container: byNumber(CONTAINER),
  group: byNumber(GROUP),
  device: byNumber(DEVICE),
  iommufd: byNumber(IOMMUFD),
  data: byNumber(MIGRATION_DATA),
};

/** Files of VFIO; what a number means depends on which one is asked. */
const PATHS: readonly (readonly [RegExp, File])[] = [
  [/^\/dev\/vfio\/vfio$/, { kind: "container", path: "group" }],
  [/^\/dev\/vfio\/\d+$/, { kind: "group", path: "group" }],
  [/^\/dev\/vfio\/devices\//, { kind: "device", path: "iommufd" }],
  [/^\/dev\/iommu$/, { kind: "iommufd", path: "iommufd" }],
];

/** Where {@link createRecordedIo} tells of each {@link MadeRequest}. */
export const REQUESTS: Channel = channel("vfmig.bed.requests");

/** The guest's system calls; what is asked of its kernel's VFIO is told on {@link REQUESTS}. */
export function createRecordedIo(): NativeIo {
  const io = createLinuxIo();
  const files = new Map<number, File>();
  /** One that somebody else opened is found by its name. */
  const fileOf = (fd: number): File | undefined => files.get(fd) ?? fileAt(targetOf(fd));
  const tell = (file: File, request: number, argument: Uint8Array | number, result: string) => {
    const name = nameOf(file, request, argument);
    if (name === undefined) return;
    REQUESTS.publish({ path: file.path, name, result } satisfies MadeRequest);
    const feature = featureOf(file, request, argument);
    if (feature !== undefined) {
      REQUESTS.publish({ path: file.path, name: feature, result } satisfies MadeRequest);
    }
  };
  /** Devices and sessions that a request opened are files, too. */
  const learn = (file: File, request: number, argument: Uint8Array | number, answer: number) => {
    if (file.kind === "group" && request === GROUP.GET_DEVICE_FD.number) {
      files.set(answer, { kind: "device", path: "group" });
    }
    if (featureOf(file, request, argument) !== STATE_SET || typeof argument === "number") return;
    const fd = viewOf(argument).getInt32(FEATURE_HEAD.DATA + 4, true);
    if (fd >= 0) files.set(fd, { ...file, kind: "data" });
  };
  return {
    ...io,
    open(path, options) {
      const fd = io.open(path, options);
      const file = fileAt(path);
      if (file !== undefined) files.set(fd, file);
      return fd;
    },
    close(fd) {
      files.delete(fd);
      io.close(fd);
    },
    ioctl(fd, request, argument = 0, pointers = []) {
      const file = fileOf(fd);
      if (file === undefined) return io.ioctl(fd, request, argument, pointers);
      try {
        const answer = io.ioctl(fd, request, argument, pointers);
        tell(file, request, argument, "ok");
        learn(file, request, argument, answer);
        return answer;
      } catch (error) {
        tell(file, request, argument, errnoOf(error));
        throw error;
      }
    },
    async ioctlLater(fd, request, argument, pointers = []) {
      const file = fileOf(fd);
      if (file === undefined) return await io.ioctlLater(fd, request, argument, pointers);
      try {
        const answer = await io.ioctlLater(fd, request, argument, pointers);
        tell(file, request, argument, "ok");
        learn(file, request, argument, answer);
        return answer;
      } catch (error) {
        tell(file, request, argument, errnoOf(error));
        throw error;
      }
    },
  };
}

function fileAt(path: string): File | undefined {
  return PATHS.find(([pattern]) => pattern.test(path))?.[1];
}

function targetOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

const STATE_SET = `feature ${FEATURE.MIG_DEVICE_STATE} set`;

function nameOf({ kind }: File, request: number, argument: Uint8Array | number) {
  const name = NAMES[kind].get(request);
  // A probe asks what there is, and uses nothing.
  if (name !== DEVICE.FEATURE.name || typeof argument === "number") return name;
  return (flagsOf(argument) & FEATURE_FLAG.PROBE) === 0 ? name : undefined;
}

/** `feature 2 set`; undefined for what is no use of a feature. */
function featureOf({ kind }: File, request: number, argument: Uint8Array | number) {
  if (kind !== "device" || request !== DEVICE.FEATURE.number) return undefined;
  if (typeof argument === "number") return undefined;
  const flags = flagsOf(argument);
  if ((flags & FEATURE_FLAG.PROBE) !== 0) return undefined;
  return `feature ${flags & 0xffff} ${(flags & FEATURE_FLAG.SET) === 0 ? "get" : "set"}`;
}

function flagsOf(argument: Uint8Array): number {
  return viewOf(argument).getUint32(FEATURE_HEAD.FLAGS, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function errnoOf(error: unknown): string {
  return VfmigError.is(error) ? String(error.details["errno"]) : String(error);
}
