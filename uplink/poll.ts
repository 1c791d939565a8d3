// The uplink where a WebSocket does not get through: the same frames in the bodies of POST requests. Each side gives what the
// other has not said that it has, so that a request or an answer which is lost loses nothing.

import { z } from 'zod';
import { limits } from '../actors/limits.ts';

const frames = z.array(z.string().max(limits.uplinkFrame)).max(limits.uplinkWaiting);

/** `took`: how many frames of this session have come so far. */
export const pollRequest = z.strictObject({ session: z.string().max(100).nullable(), took: z.int().min(0), frames });
/** `first`: the number of the first of these frames. `over`: there will be no more. */
export const pollReply = z.strictObject({ session: z.string().max(100), first: z.int().min(1), frames, over: z.boolean() });
