import Catalog
import Foundation
import Integrity
import Model

/// Writes reports: to whoever asked, or a file for each owner. Many owners' files are written in one pass over the
/// incident, but no more at once than may be open.
struct IncidentFiles {
    /// Files that are open at once.
    private static let openCount = 64

    private let report: IncidentReport
    private let incident: IncidentRow
    private let format: IncidentFormat

    init(_ report: IncidentReport, _ incident: IncidentRow, _ format: IncidentFormat) throws {
        // Several passes tell one story, however the refill goes on meanwhile.
        self.report = try report.pinned(to: incident)
        self.incident = incident
        self.format = format
    }

    private func content(_ totals: IncidentTotals) throws -> IncidentContent {
        IncidentContent(
            incident: incident, totals: totals, progress: report.progress(of: incident, totals),
            acknowledgements: try report.acknowledgements(of: incident), made: .now())
    }

    /// To whoever asked.
    /// - Throws: ``IncidentRefusal`` if nothing of the owner's is affected.
    func print(owner: String?, prefixDepth: Int, _ output: any CommandOutput) throws {
        let scope = IncidentScope(owners: owner.map { [$0] })
        let content = try content(try report.totals(incident, scope, prefixDepth: prefixDepth))
        if let owner, content.totals.all.versions == 0 { throw IncidentRefusal.nothingAffected(owner) }
        guard format != .html || content.totals.owners.count == 1 else {
            throw SeveralOwners(count: content.totals.owners.count)
        }
        let document = format.document
        for line in try document.head(content) { try output.line(line) }
        for section in document.sections {
            let count = IncidentPage.count(content.totals.all, section)
            for line in document.open(section, count: count, content) { try output.line(line) }
            var number = 0
            if count > 0 {
                try report.forEach(incident, IncidentScope(owners: scope.owners, states: section.states)) {
                    if let row = try document.row($0, number: number, section) { try output.line(row) }
                    number += 1
                }
            }
            for line in document.close(section, count: count) { try output.line(line) }
        }
        for line in document.foot() { try output.line(line) }
    }

    struct SeveralOwners: Error, CustomStringConvertible {
        let count: Int
        var description: String {
            count == 0
                ? "the incident affects nobody's files"
                : "a page is for one owner, and there are \(count): give --owner, or --output for a page of each"
        }
    }

    /// One file for each owner.
    /// - Returns: the files' paths.
    func write(owner: String?, prefixDepth: Int, to directory: String) throws -> [String] {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let all = try report.totals(
            incident, IncidentScope(owners: owner.map { [$0] }), prefixDepth: 0)
        if let owner, all.owners.isEmpty { throw IncidentRefusal.nothingAffected(owner) }
        let owners = all.owners.keys.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
        var paths: [String] = []
        for start in stride(from: 0, to: owners.count, by: Self.openCount) {
            let batch = Array(owners[start..<min(start + Self.openCount, owners.count)])
            paths += try write(batch, prefixDepth, directory)
        }
        return paths
    }

    private func write(
        _ owners: [IncidentTotals.Owner], _ prefixDepth: Int, _ directory: String
    ) throws -> [String] {
        let document = format.document
        let ids = Set(owners.map(\.id))
        let totals = try report.totals(incident, ofEach: ids, prefixDepth: prefixDepth)
        var files: [String: OwnerFile] = [:]
        for owner in owners {
            let own = totals[owner.id] ?? IncidentTotals(prefixDepth: prefixDepth)
            let file = try OwnerFile("\(directory)/\(name(owner))", try content(own))
            for line in try document.head(file.content) { try file.line(line) }
            files[owner.id] = file
        }
        for section in document.sections {
            for file in files.values { try file.begin(section, document) }
            if files.values.contains(where: { $0.count(section) > 0 }) {
                try report.forEach(incident, IncidentScope(owners: ids, states: section.states)) { line in
                    try files[line.version.owner]?.add(line, section, document)
                }
            }
            for file in files.values { try file.end(section, document) }
        }
        return try owners.compactMap { try files[$0.id]?.finish(document) }
    }

    /// An owner's name may be anything: what is not plain in a file's name is left out, and the id tells owners of one
    /// name apart.
    private func name(_ owner: IncidentTotals.Owner) -> String {
        func plain(_ text: String, _ limit: Int) -> String {
            let isPlain: (UInt8) -> Bool = {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x2D || $0 == 0x5F
            }
            return String(decoding: text.utf8.map { isPlain($0) ? $0 : 0x5F }.prefix(limit), as: UTF8.self)
        }
        let suffix = format == .text ? "txt" : format == .json ? "jsonl" : format.rawValue
        return "incident-\(incident.id)-\(plain(owner.name, 64))-\(plain(owner.id, 16)).\(suffix)"
    }
}

/// A report of one owner while it is written: it has its name when it is whole.
private final class OwnerFile {
    private static let bufferSize = 64 * 1024

    private let path: String
    let content: IncidentContent
    private let handle: FileHandle
    private var buffer = Data()
    private var number = 0

    private var partial: String { path + ".partial" }

    init(_ path: String, _ content: IncidentContent) throws {
        self.path = path
        self.content = content
        let partial = path + ".partial"
        // Owners' files are named in it: nobody else reads it before the operator sends it.
        guard
            FileManager.default.createFile(
                atPath: partial, contents: nil, attributes: [.posixPermissions: 0o600]),
            let handle = FileHandle(forWritingAtPath: partial)
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: partial]) }
        self.handle = handle
    }

    func line(_ text: String) throws {
        buffer.append(contentsOf: text.utf8)
        buffer.append(0x0A)
        if buffer.count >= Self.bufferSize { try flush() }
    }

    private func flush() throws {
        try handle.write(contentsOf: buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    func count(_ section: IncidentSection) -> Int {
        IncidentPage.count(content.totals.all, section)
    }

    func begin(_ section: IncidentSection, _ document: any IncidentDocument) throws {
        number = 0
        for text in document.open(section, count: count(section), content) { try line(text) }
    }

    func add(_ version: AffectedLine, _ section: IncidentSection, _ document: any IncidentDocument) throws {
        if let text = try document.row(version, number: number, section) { try line(text) }
        number += 1
    }

    func end(_ section: IncidentSection, _ document: any IncidentDocument) throws {
        for text in document.close(section, count: count(section)) { try line(text) }
    }

    func finish(_ document: any IncidentDocument) throws -> String {
        for text in document.foot() { try line(text) }
        try flush()
        try handle.close()
        guard rename(partial, path) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        return path
    }
}
