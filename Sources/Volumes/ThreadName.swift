import CFileSystem

/// Names the thread that calls, for `top -H`, `perf` and a debugger.
///
/// Foundation's `Thread.name` does nothing before the thread runs, and races with its start after that.
package func nameCurrentThread(_ name: String) {
    // Linux takes 15 bytes and refuses more.
    let result = holdfast_name_thread(String(decoding: name.utf8.prefix(15), as: UTF8.self))
    assert(result == 0, "a thread takes a name of 15 bytes")
}

/// Lets the thread that calls yield to others when the processors are busy.
///
/// - Parameter niceness: 0 to 19; more is never taken back.
package func lowerCurrentThread(_ niceness: Int32) {
    let result = holdfast_lower_thread(niceness)
    assert(result == 0, "a thread may always yield more")
}
