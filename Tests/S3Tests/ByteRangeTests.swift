import HTTPTypes
import S3
import Testing

@Suite struct ByteRangeTests {
    @Test(
        arguments: [
            ("bytes=0-0", 0, 1), ("bytes=0-9", 0, 10), ("bytes=5-", 5, 100), ("bytes=0-", 0, 100),
            ("bytes=99-", 99, 100),
            ("bytes=99-99", 99, 100), ("bytes=90-1000", 90, 100), ("bytes=90-18446744073709551615", 90, 100),
            ("bytes=90-99999999999999999999999", 90, 100), ("bytes=-1", 99, 100), ("bytes=-100", 0, 100),
            ("bytes=-101", 0, 100), ("bytes=-99999999999999999999999", 0, 100), ("bytes=007-008", 7, 9),
            ("bytes= 1 - 2 ", 1, 3), ("Bytes=1-2", 1, 3), ("BYTES=-1", 99, 100),
        ] as [(String, UInt64, UInt64)])
    func aRangeThatIsThereIsTaken(header: String, start: UInt64, end: UInt64) throws {
        #expect(try ByteRange.parse(header, size: 100) == start..<end)
    }

    /// RFC 9110, section 14.2: a range that makes no sense is ignored; S3 sends the whole for several, too.
    @Test(arguments: [
        nil, "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1-2,3-4", "bytes=1-2,",
        "bytes=1",
        "bytes=--1", "bytes=1-2-3", "bytes=+1-2", "bytes=1-+2", "bytes=0x1-2", "bytes=1.0-2", "bytes=١-٢",
        "items=0-1",
        "bytes 0-1", "0-1",
    ])
    func aRangeThatMakesNoSenseIsTheWhole(header: String?) throws {
        #expect(try ByteRange.parse(header, size: 100) == nil)
        #expect(try ByteRange.parse(header, size: 0) == nil, "of nothing, too")
    }

    @Test(
        arguments: [
            ("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=99999999999999999999999-", 100),
            ("bytes=-0", 100),
            ("bytes=0-", 0), ("bytes=0-0", 0), ("bytes=-5", 0),
        ] as [(String, UInt64)])
    func aRangeOfWhichNothingIsThereIsRefusedWithTheSize(header: String, size: UInt64) {
        let error = #expect(throws: S3Error.self) { try ByteRange.parse(header, size: size) }
        #expect(error?.code.name == "InvalidRange" && error?.code.status == 416)
        #expect(error?.headers[.contentRange] == "bytes */\(size)")
    }
}
