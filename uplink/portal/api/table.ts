// Every route of the API. Adding one is adding a row.

import { z } from 'zod';
import { openApiDocument } from './openapi.ts';
import { open, type Route } from './route.ts';
import { contentRoutes } from './routes/domains.ts';
import { documentRoutes } from './routes/document.ts';
import { liveRoutes } from './routes/live.ts';
import { meRoutes } from './routes/me.ts';
import { organisationRoutes } from './routes/organisation.ts';
import { sessionRoutes } from './routes/session.ts';
import { siteRoutes } from './routes/site.ts';
import { streamRoutes } from './routes/stream.ts';

const rows = [
  ...sessionRoutes,
  ...meRoutes,
  ...organisationRoutes,
  ...siteRoutes,
  ...documentRoutes,
  ...contentRoutes,
  ...liveRoutes,
  ...streamRoutes,
] as const;
export type Rows = typeof rows;

const described = open('GET', '/openapi.json', {
  about: 'This API as an OpenAPI 3.1 document.',
  answer: z.record(z.string(), z.unknown()),
  handle: async ({ portal }) => openApiDocument(portal.url, routes),
});

export const routes: readonly Route[] = [...rows, described];
