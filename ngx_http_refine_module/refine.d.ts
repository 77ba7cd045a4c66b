// What refine.js makes: two globals.  import "/refine/refine.js" where modules
// are used, or a script tag; see docs/browser.md.

interface RefineServeContext {
    readonly serveId: string;
    readonly itemIds: readonly string[];
    /** position: 0-based, in the items of the serve */
    trackClick(itemId: string, position?: number): void;
    /** call it when half of the product was in the viewport for a second */
    trackView(itemId: string, position?: number): void;
    trackAddToCart(itemId: string, position?: number): void;
}

type RefineProduct = string | { productId: string } | { itemId: string }
    | { id: string | number };

interface RefineFilter {
    field: string;
    operator: "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "nin"
        | "exists" | "match";
    value: unknown;
}

interface RefineSort {
    field: string;
    order: "ascending" | "descending";
}

interface RefineSearchOptions {
    surface?: string;
    source?: string;
    totalResults?: number;
    filters?: RefineFilter[];
    sortBy?: RefineSort | RefineSort[];
    metadata?: Record<string, unknown>;
    /** the X-Refine-Serve-Id of the answer: nginx has logged this serve */
    serveId?: string;
}

interface RefinePurchase {
    orderId: string;
    value: number;
    /** ISO 4217 */
    currency: string;
    items: { itemId: string; quantity: number; unitPrice: number }[];
    metadata?: Record<string, unknown>;
}

interface RefineMetrics {
    queued: number;
    sent: number;
    failed: number;
    retrying: number;
}

interface RefineEvents {
    trackSearch(query: string, products: Iterable<RefineProduct>,
                options?: RefineSearchOptions): RefineServeContext;
    trackRecommendations(serveId: string | null | undefined,
                         products: Iterable<RefineProduct>, surface?: string,
                         source?: string, metadata?: Record<string, unknown>):
        RefineServeContext;
    trackItemsServed(serve: RefineSearchOptions & {
        surface: string; source: string; itemIds: Iterable<RefineProduct>;
        query?: string;
    }): RefineServeContext;
    trackPurchase(order: RefinePurchase): void;
    /** the serve whose click led to the product, at most 7 days ago */
    carried(itemId: string): RefineServeContext | null;
    /** sends all that is queued; never rejects */
    flush(): Promise<void>;
    pause(): void;
    resume(): void;
    getMetrics(): RefineMetrics;
}

type RefineConsent = "granted" | "denied" | "pending";

interface RefineConfig {
    /** has no place in a browser: it is not used, with a warning */
    apiKey?: string;
    organizationId?: string;
    catalogId?: string;
    /** where events go; the default is data-collect, or /refine/collect */
    collect?: string;
    requireConsent?: boolean;
    events?: {
        enabled?: boolean;
        batchSize?: number;
        flushInterval?: number;
        maxQueueSize?: number;
        maxRetries?: number;
        persistence?: "localStorage" | "sessionStorage" | "memory";
        /** sessions are nginx's: see session_timeout */
        sessionTimeout?: number;
    };
}

declare class Refine {
    constructor(config?: RefineConfig);
    readonly events: RefineEvents;
    readonly consent: {
        grant(): void;
        deny(): void;
        reset(): void;
        getStatus(): RefineConsent;
    };
    /** the shop's own name of the customer; nothing: nobody any more */
    identify(userId?: string | null): void;
}

declare const refine: Refine;
