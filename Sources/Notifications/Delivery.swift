/// Records that are delivered together, in the order of the log.
package struct Delivery: Sendable {
    package struct Record: Sendable {
        /// The event that it tells of.
        package let sequence: UInt64
        /// Which of those that the event has to tell of.
        package let index: Int
        /// `s3:ObjectCreated:Put` …
        package let name: String
        /// `BUCKET/KEY`, or `BUCKET/`; `nil` for what happens to no bucket.
        package let place: String?
        /// The record as JSON.
        package let json: [UInt8]

        package init(sequence: UInt64, index: Int, name: String, place: String?, json: [UInt8]) {
            self.sequence = sequence
            self.index = index
            self.name = name
            self.place = place
            self.json = json
        }
    }

    package let records: [Record]
    /// The store whose log it tells of.
    package var origin = ""
    /// How often the sink was put back in its log before.
    package var replay: UInt64 = 0

    package init(_ records: [Record]) {
        precondition(!records.isEmpty, "a delivery has something to tell")
        self.records = records
    }

    /// Of the first and the last event that it tells of.
    package var sequences: ClosedRange<UInt64> {
        (records.first?.sequence ?? 0)...(records.last?.sequence ?? 0)
    }

    /// All records as one document.
    package var body: [UInt8] { Self.document(records) }

    /// What the record has for itself in all that this store sends, but for attempts to send the same thing: a broker that
    /// knows it again takes it once.
    package func id(of record: Record) -> String {
        let id = "\(origin)-\(record.sequence)-\(record.index)"
        return replay == 0 ? id : id + "-r\(replay)"
    }

    /// `{"Records": [...]}`, as S3 sends them.
    package static func document(_ records: some Sequence<Record>) -> [UInt8] {
        var body = Array("{\"Records\":[".utf8)
        for record in records {
            if body.last == UInt8(ascii: "}") { body.append(UInt8(ascii: ",")) }
            body += record.json
        }
        return body + Array("]}".utf8)
    }
}
