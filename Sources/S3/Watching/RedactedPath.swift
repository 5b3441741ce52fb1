/// A request's path and query without what a reader of a log could send again: signatures that stand in the query, and
/// tokens of sessions.
public enum RedactedPath {
    private static let secrets: Set<String> = [
        "x-amz-signature", "signature", "x-amz-security-token",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key",
    ]

    public static func text(_ path: String) -> String {
        guard let mark = path.firstIndex(of: "?") else { return path }
        let query = path[path.index(after: mark)...]
        var isChanged = false
        let items = query.split(separator: "&", omittingEmptySubsequences: false).map { item -> Substring in
            guard let equals = item.firstIndex(of: "="),
                secrets.contains(
                    PercentEncoding.decode(item[..<equals], plusIsSpace: true)?.lowercased() ?? "")
            else { return item }
            isChanged = true
            return item[...equals] + "REDACTED"
        }
        return isChanged ? path[...mark] + items.joined(separator: "&") : path
    }
}
