import Foundation
import HoldfastServer
import Logging
import Synchronization
import Testing

/// Lines for a collector of logs.
@Suite struct JSONLogTests {
    @Test func aLineIsOneObjectWhateverIsInIt() throws {
        let lines = Mutex<[String]>([])
        var handler = JSONLogHandler(label: "holdfast") { line in lines.withLock { $0.append(line) } }
        handler.logLevel = .info
        let made = handler
        let logger = Logger(label: "holdfast", factory: { _ in made })
        let text = "a \"quote\", a \\, a line\nand\u{2028}another\u{7}"
        logger.info(
            "\(text)",
            metadata: ["status": .stringConvertible(200), "key": "\(text)", "message": "mine"])
        logger.debug("not this")
        let written = lines.withLock { $0 }
        #expect(written.count == 1 && written[0].hasSuffix("}\n") && !written[0].dropLast().contains("\n"))
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(written[0].utf8)) as? [String: Any])
        #expect(object["message"] as? String == text && object["key"] as? String == text)
        #expect(object["status"] as? Int == 200 && object["level"] as? String == "info")
        #expect(object["_message"] as? String == "mine" && object["logger"] as? String == "holdfast")
    }
}
