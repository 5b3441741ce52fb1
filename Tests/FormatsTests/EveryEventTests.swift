import Foundation
import Model
import SwiftProtobuf
import Testing
import Volumes

/// What the golden files hold: every field of everything that is written, so that a change to any of them shows.
@Suite struct EveryEventTests {
    static func json(_ message: any SwiftProtobuf.Message) throws -> [String: Any] {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        let bytes: [UInt8] = try message.jsonUTF8Bytes(options: options)
        return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    @Test func everyFieldOfEveryEventIsSet() throws {
        let schema = try EventSchema()
        try #require(schema.messages.count > 25 && schema.messages["Record"] != nil)
        var together: [String: Any] = [:]
        for event in EveryEvent.all { together.merge(try Self.json(event.record)) { first, _ in first } }
        let unset = try schema.unset(in: together, "Record")
        #expect(unset == [])
        #expect(
            EveryEvent.all.count + 3 == schema.messages["Record"]?.count, "each kind once, and three fields")
    }

    @Test func everyFieldOfABlobsDescriptorIsSet() throws {
        var descriptor = VolumeFormatTests.trailer(VolumeFormatTests.data(3), BlobID(high: 1, low: 1))
            .descriptor
        descriptor.volume = 2
        #expect(try EventSchema().unset(in: try Self.json(descriptor), "BlobDescriptor") == [])
    }

    @Test func aFieldThatIsNotSetIsNamed() throws {
        let schema = try EventSchema(
            """
            message Outer { // with a comment
              string a = 1;
              oneof one {
                Inner b = 2;
              }
              repeated Inner c = 3;
              enum Kind {
                NONE = 0;
              }
              Kind d = 4;
              map<string, bytes> e = 5;
            }
            message Inner {
              bool f = 1;
            }
            """)
        let object: [String: Any] = ["a": "x", "c": [["f": true], [:]], "e": ["k": "v"]]
        #expect(try schema.unset(in: object, "Outer") == ["Outer.b", "Inner.f", "Outer.d"])
        #expect(try schema.unset(in: ["f": true], "Inner") == [])
    }
}
