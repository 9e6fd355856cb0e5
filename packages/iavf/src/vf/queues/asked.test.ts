import { expect, test } from "vitest";
import { buildQueueSelect } from "../../virtchnl/queues.ts";
import type { PairParts } from "./queue-pair.ts";
import type { RingPool } from "./ring-memory.ts";
import { ShadowQueues } from "./shadow-queues.ts";

const SELECT = { vsiId: 1, txQueues: 0b11, rxQueues: 0b01 };
const BODY = buildQueueSelect(SELECT);

test("queues that a guest starts before it has heard that they were stopped count as running", () => {
  // No pair is configured, so that nothing of these is used.
  const queues = new ShadowQueues({} as unknown as PairParts, {} as unknown as RingPool);
  queues.enabling(SELECT);
  queues.enabled(BODY, false);
  // It asks to stop them and, without waiting, to start them again.
  queues.enabling(SELECT);
  queues.disabled(BODY);
  expect(queues.asked).toEqual({ txQueues: 0, rxQueues: 0 });
  queues.enabled(BODY, false);
  expect(queues.asked).toEqual({ txQueues: 0b11, rxQueues: 0b01 });
});
