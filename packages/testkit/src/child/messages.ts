import { ERROR_CODES, type Layer, VfmigError, type VfmigErrorCode } from "@vfmig/core";

/** What a parent asks a process that it started, by name. */
export interface Question {
  readonly do: string;
}

/** A question on its way; answered once, by its number. */
export interface NumberedQuestion<Asked extends Question = Question> {
  readonly id: number;
  readonly question: Asked;
}

/** An error on its way between processes. */
export interface TravellingError {
  readonly code: string | undefined;
  readonly layer: string | undefined;
  readonly message: string;
}

/** What a process says to its parent; events come unasked. */
export type Saying<Event = unknown> =
  | { readonly say: "answer"; readonly id: number; readonly value: unknown }
  | { readonly say: "refusal"; readonly id: number; readonly error: TravellingError }
  | { readonly say: "event"; readonly event: Event };

export function departing(error: unknown): TravellingError {
  const known = VfmigError.is(error) ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return { code: known?.code, layer: known?.layer, message };
}

/** @param other - the error where the process did not name one of vfmig's */
export function arrived(
  { code, layer, message }: TravellingError,
  other: (why: string) => VfmigError,
): VfmigError {
  if (code === undefined || layer === undefined || !Object.hasOwn(ERROR_CODES, code)) {
    return other(message);
  }
  return new VfmigError(code as VfmigErrorCode, message, { layer: layer as Layer });
}
