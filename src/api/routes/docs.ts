import scalar from '@scalar/fastify-api-reference';
import type { Routes } from '../routes.ts';

/** Nothing from outside: the page's script is served by us, and its policy forbids the rest. */
export const DOCS_POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The reference at /docs/ and the OpenAPI document at /docs/openapi.json. */
export async function docsRoute(app: Routes): Promise<void> {
  await app.register(scalar, {
    routePrefix: '/docs',
    configuration: {
      pageTitle: 'Hushtone API',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      mcp: { disabled: true },
      agent: { disabled: true },
    },
  });
}
