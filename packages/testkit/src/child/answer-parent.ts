import { departing, type NumberedQuestion, type Saying } from "./messages.ts";

/**
 * Makes this process one that answers its parent's questions, and ends when the parent is gone.
 *
 * @param answer - gives the value of a question, which nobody has looked at yet, or throws why not
 */
export function answerParent(answer: (question: unknown) => Promise<unknown>): void {
  const one = async ({ id, question }: NumberedQuestion): Promise<void> => {
    try {
      say({ say: "answer", id, value: await answer(question) });
    } catch (error) {
      say({ say: "refusal", id, error: departing(error) });
    }
  };
  process.on("message", (message) => void one(message as NumberedQuestion));
  // The parent's end of the channel closes with it, however it ends.
  process.on("disconnect", () => process.exit(0));
}

/** Tells the parent what it did not ask for. */
export function tellParent(event: unknown): void {
  say({ say: "event", event });
}

function say(saying: Saying): void {
  // The channel may break between the look and the write; `disconnect` then ends the process.
  if (process.connected) process.send?.(saying, undefined, undefined, () => undefined);
}
