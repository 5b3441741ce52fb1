import CZlib
import Digests
import Foundation
import Volumes

/// What zlib says is wrong with compressed bytes.
struct CompressionError: Error, CustomStringConvertible {
    let path: String
    let code: Int32
    var description: String { "\(path): zlib reports \(code): the compressed file is damaged" }
}

/// Files in the format of gzip (RFC 1952), written and read in pieces.
enum Compression {
    private static let pieceCount = 1024 * 1024

    /// What a compressed file came to.
    struct Outcome: Sendable {
        var byteCount: UInt64 = 0
        var sha256: [UInt8] = []
    }

    /// Compresses a file into a new one, which is synced; the directory is the caller's to sync.
    static func compress(
        _ source: any File, to path: String, _ fileSystem: any FileSystem,
        _ pace: @escaping SnapshotPace = unpaced
    ) throws -> Outcome {
        let target = try fileSystem.open(path, [.write, .createNew], permissions: 0o600)
        defer { target.close() }
        var stream = z_stream()
        let gzip: Int32 = 15 + 16
        guard
            deflateInit2_(
                &stream, 6, Z_DEFLATED, gzip, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { preconditionFailure("zlib takes the parameters that its manual names") }
        defer { deflateEnd(&stream) }
        var outcome = Outcome()
        var digest = SHA256()
        var offset: UInt64 = 0
        var room = [UInt8](repeating: 0, count: pieceCount)
        while true {
            var piece = try source.bytes(pieceCount, at: offset)
            offset += UInt64(piece.count)
            let isLast = piece.count < pieceCount
            var count = 0
            try piece.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                repeat {
                    count = try room.withUnsafeMutableBufferPointer { output in
                        stream.next_out = output.baseAddress
                        stream.avail_out = UInt32(output.count)
                        let code = deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                        guard code != Z_STREAM_ERROR else { throw CompressionError(path: path, code: code) }
                        return output.count - Int(stream.avail_out)
                    }
                    let bytes = Array(room.prefix(count))
                    digest.update(bytes)
                    try target.write(bytes, at: outcome.byteCount)
                    outcome.byteCount += UInt64(count)
                } while count == room.count
            }
            try pace(piece.count)
            if isLast { break }
        }
        try target.sync()
        outcome.sha256 = digest.finalize()
        return outcome
    }

    /// Decompresses a file to a new one outside the store's file systems.
    /// - Parameter sha256: of the compressed bytes; `nil` where it is not known, and gzip's own checksum must do.
    /// - Throws: ``CompressionError`` if the file is damaged or is not what it was.
    static func decompress(
        _ source: any File, sha256: [UInt8]?, to path: String, _ pace: @escaping SnapshotPace = unpaced
    ) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let target = FileHandle(forWritingAtPath: path)
        else { throw FileSystemError(operation: "open", path: path, code: EIO) }
        defer { try? target.close() }  // a scratch file, read back at once
        var stream = z_stream()
        guard
            inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { preconditionFailure("zlib takes the parameters that its manual names") }
        defer { inflateEnd(&stream) }
        var digest = SHA256()
        var offset: UInt64 = 0
        var code = Z_OK
        var room = [UInt8](repeating: 0, count: pieceCount)
        while code != Z_STREAM_END {
            var piece = try source.bytes(pieceCount, at: offset)
            guard !piece.isEmpty else { throw CompressionError(path: source.path, code: Z_BUF_ERROR) }
            offset += UInt64(piece.count)
            digest.update(piece)
            try piece.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                repeat {
                    let count = try room.withUnsafeMutableBufferPointer { output in
                        stream.next_out = output.baseAddress
                        stream.avail_out = UInt32(output.count)
                        code = inflate(&stream, Z_NO_FLUSH)
                        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else {
                            throw CompressionError(path: source.path, code: code)
                        }
                        return output.count - Int(stream.avail_out)
                    }
                    try target.write(contentsOf: Data(room.prefix(count)))
                    try pace(0)
                } while code != Z_STREAM_END && (stream.avail_out == 0 || stream.avail_in > 0)
            }
        }
        let found = digest.finalize()
        guard sha256.map({ $0 == found }) ?? true else {
            throw CompressionError(path: source.path, code: Z_DATA_ERROR)
        }
    }
}
