import Model
import S3

/// A request that is traced: made when it comes in, sent when it has been answered.
struct TracedRequest: Sendable {
    let traceID: [UInt8]
    let parentID: [UInt8]?
    let state: String?
    let spanID: [UInt8]

    var traceText: String { traceID.hexadecimal }
}

/// One span as OTLP has it in JSON: ids in hexadecimal, 64-bit numbers as strings, enumerations as numbers.
///
/// Source: OpenTelemetry protocol specification 1.x, "OTLP/HTTP", "JSON Protobuf Encoding"; names of attributes:
/// OpenTelemetry semantic conventions, "HTTP" and "AWS S3".
struct TraceSpan: Encodable, Sendable {
    struct Attribute: Encodable, Sendable {
        struct Value: Encodable, Sendable {
            var stringValue: String?
            var intValue: String?
        }
        let key: String
        let value: Value

        init(_ key: String, _ text: String) {
            self.key = key
            value = Value(stringValue: text)
        }

        init(_ key: String, _ number: some BinaryInteger) {
            self.key = key
            value = Value(intValue: String(number))
        }
    }

    struct Status: Encodable, Sendable {
        /// 2 is an error.
        let code: Int
    }

    enum Kind: Int { case within = 1, server = 2 }

    let traceId: String
    let spanId: String
    var parentSpanId: String?
    var traceState: String?
    let name: String
    let kind: Int
    let startTimeUnixNano: String
    let endTimeUnixNano: String
    var attributes: [Attribute] = []
    var droppedAttributesCount: Int?
    var status: Status?

    init(
        _ traced: TracedRequest, id: [UInt8], parent: [UInt8]?, _ name: String, _ kind: Kind, start: UInt64,
        end: UInt64
    ) {
        traceId = traced.traceText
        spanId = id.hexadecimal
        parentSpanId = parent?.hexadecimal
        traceState = traced.state
        self.name = name
        self.kind = kind.rawValue
        startTimeUnixNano = String(start)
        endTimeUnixNano = String(max(start, end))
    }
}

/// The body of an export request.
struct TraceExport: Encodable, Sendable {
    struct ResourceSpans: Encodable, Sendable {
        struct Resource: Encodable, Sendable { let attributes: [TraceSpan.Attribute] }
        let resource: Resource
        let scopeSpans: [ScopeSpans]
    }
    struct ScopeSpans: Encodable, Sendable {
        struct Scope: Encodable, Sendable {
            let name: String
            let version: String
        }
        let scope: Scope
        let spans: [TraceSpan]
    }
    let resourceSpans: [ResourceSpans]
}
