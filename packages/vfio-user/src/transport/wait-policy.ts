import type { ReceiveBounds } from "@vfmig/linux";

/**
 * How long to look for the next message before the event loop runs again. `adaptive` waits while that is
 * rewarded, at most 50 us for each message; `none` never; bounds always, and as long as they say.
 */
export type WaitPolicy = "adaptive" | "none" | ReceiveBounds;
