import GRDB
import GRDBSQLite

/// What is called now and then while SQLite is at work for long, and may end it.
///
/// Source: https://www.sqlite.org/c3ref/progress_handler.html
final class ProgressHandler {
    /// Steps of SQLite's virtual machine between two calls: some hundred microseconds of work.
    private static let interval: Int32 = 10_000

    private let step: () throws -> Void
    private var failure: (any Error)?

    init(_ step: @escaping () throws -> Void) { self.step = step }

    /// - Throws: what the step threw, in place of SQLite's saying that it was interrupted.
    func watch(_ database: Database, _ body: () throws -> Void) throws {
        let call: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
            guard let context else { preconditionFailure("a progress handler was given its context") }
            return Unmanaged<ProgressHandler>.fromOpaque(context).takeUnretainedValue().isOver ? 1 : 0
        }
        sqlite3_progress_handler(
            database.sqliteConnection, Self.interval, call, Unmanaged.passUnretained(self).toOpaque())
        defer { sqlite3_progress_handler(database.sqliteConnection, 0, nil, nil) }
        do { try body() } catch {
            throw failure ?? error
        }
    }

    private var isOver: Bool {
        do { try step() } catch { failure = error }
        return failure != nil
    }
}
