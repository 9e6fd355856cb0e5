import {
  DEVICE_FEATURE,
  FEATURE,
  readFeatureHead,
  type FeatureHead,
} from "../../codec/device-feature.ts";
import { refusal } from "../../codec/errno.ts";
import type { Message } from "../../transport/message.ts";
import type { Session } from "../session.ts";
import { loggingReport, loggingStart, loggingStop } from "./dma-logging.ts";
import { migrationFlags, migrationSize, migrationState, setMigrationState } from "./migration.ts";

/** Serves a GET or SET whose head was read. `at` and `length` are those of the data after it. */
export type FeatureHandler = (
  session: Session,
  message: Message,
  head: FeatureHead,
  at: number,
  length: number,
) => void;

interface Feature {
  readonly facet: "migration" | "dmaLogging";
  readonly get?: FeatureHandler;
  readonly set?: FeatureHandler;
}

const features: ReadonlyMap<number, Feature> = new Map<number, Feature>([
  [FEATURE.MIGRATION, { facet: "migration", get: migrationFlags }],
  [FEATURE.MIG_DEVICE_STATE, { facet: "migration", get: migrationState, set: setMigrationState }],
  [FEATURE.MIG_DATA_SIZE, { facet: "migration", get: migrationSize }],
  [FEATURE.DMA_LOGGING_START, { facet: "dmaLogging", set: loggingStart }],
  [FEATURE.DMA_LOGGING_STOP, { facet: "dmaLogging", set: loggingStop }],
  [FEATURE.DMA_LOGGING_REPORT, { facet: "dmaLogging", get: loggingReport }],
]);

/** `VFIO_USER_DEVICE_FEATURE`: which feature, which direction, then its handler. */
export function deviceFeature(session: Session, message: Message): void {
  const head = readFeatureHead(message.view, message.at, message.length);
  const feature = features.get(head.feature);
  // As the kernel: ENOTTY where the feature does not exist, EINVAL where the direction does not.
  if (feature === undefined || session.device[feature.facet] === undefined) {
    throw refusal("ENOTTY", `DEVICE_FEATURE ${head.feature} does not exist on this device`, {
      feature: head.feature,
    });
  }
  if ((head.get && feature.get === undefined) || (head.set && feature.set === undefined)) {
    throw refusal("EINVAL", `DEVICE_FEATURE ${head.feature} has no such direction`, {
      feature: head.feature,
    });
  }
  if (head.probe) {
    echo(session, message);
    return;
  }
  const handler = head.get ? feature.get : feature.set;
  const { BYTES } = DEVICE_FEATURE;
  handler?.(session, message, head, message.at + BYTES, message.length - BYTES);
}

/** The reply to a PROBE is its request. */
function echo(session: Session, message: Message): void {
  const { replies } = session;
  replies.reserve(message.length);
  replies.bytes.set(message.payload(), replies.at);
  replies.send(message, message.length);
}
