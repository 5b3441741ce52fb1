import ArgumentParser
import Foundation
import HoldfastServer
import Snapshots

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the buckets, or the objects of one, now or as they were.",
        discussion: """
            Example:
              holdfast ls /srv/holdfast
              holdfast ls /srv/holdfast photos/2026/ --at 2026-11-25T02:09:00Z
              holdfast ls /srv/holdfast photos --at '10m ago' --versions --json
            """)

    @OptionGroup var location: StoreLocation
    @Argument(help: "BUCKET, or BUCKET/PREFIX; without, the buckets.") var place: String?
    @Option(help: "As it was then: \(momentHelp)") var at: String?
    @Flag(help: "Older versions and delete markers too.") var versions = false
    @Flag(help: "Print one JSON object for each line.") var json = false

    func validate() throws {
        if versions, place == nil { throw ValidationError("--versions goes with a bucket") }
        _ = try moment(at)
    }

    func run() async throws {
        var order = ListingOrder(place)
        order.moment = try moment(at)
        order.showsVersions = versions
        try await location.perform(.list(order, json: json))
    }
}

let momentHelp = "a time (RFC 3339), how long ago (90s, 10m, 6h, 2d, 1w), or an event's sequence."

/// - Throws: `ValidationError`.
func moment(_ text: String?) throws -> Moment? {
    guard let text else { return nil }
    guard let moment = Moment(text) else {
        throw ValidationError("--at '\(text)' is none of these: \(momentHelp)")
    }
    return moment
}
