import HTTPTypes
import NIOHTTP1

extension HTTPRequest {
    /// The head as the protocol layers see it; `nil` if a header's name is no token, or if it does not name one host, which from
    /// HTTP/1.1 on it must: whoever stands in between may have gone by another (RFC 9112, 3.2). The name may be empty.
    package init?(_ head: HTTPRequestHead, scheme: String) {
        guard let method = HTTPRequest.Method(rawValue: head.method.rawValue) else { return nil }
        var fields = HTTPFields()
        fields.reserveCapacity(head.headers.count)
        var host: String?
        for (name, value) in head.headers {
            guard let field = HTTPField.Name(name) else { return nil }
            if field.canonicalName == "host" {
                guard host == nil else { return nil }
                host = value
            } else {
                fields.append(HTTPField(name: field, value: value))
            }
        }
        guard host != nil || head.version == .http1_0 else { return nil }
        self.init(
            method: method, scheme: scheme, authority: host, path: head.pathAndQuery, headerFields: fields)
    }
}
