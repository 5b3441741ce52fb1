import Synchronization

/// The commands that a server is carrying out, each of which can be told to end: the store is not closed while they use it.
final class RunningCommands: Sendable {
    private struct State {
        var isEnding = false
        var next = 0
        /// `nil` for one that has begun and is not known yet.
        var tasks: [Int: Task<Void, Never>?] = [:]
    }

    private let state = Mutex(State())

    /// Whether they were told to end.
    var isEnding: Bool { state.withLock { $0.isEnding } }

    /// Carries out a command on threads of `workers`.
    func run(on workers: WorkerPool, _ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        let number = state.withLock { state in
            state.next += 1
            state.tasks[state.next] = .some(nil)
            return state.next
        }
        let task = Task(executorPreference: workers) { [self] in
            await body()
            state.withLock { _ = $0.tasks.removeValue(forKey: number) }
        }
        let isEnding = state.withLock { state in
            if state.tasks[number] != nil { state.tasks[number] = task }
            return state.isEnding
        }
        if isEnding { task.cancel() }
        return task
    }

    /// Tells them to end at their next step, and each that begins from now on.
    func cancel() {
        let tasks = state.withLock { state in
            state.isEnding = true
            return state.tasks.values.compactMap(\.self)
        }
        for task in tasks { task.cancel() }
    }

    /// - Returns: whether all have ended.
    func wait(atMost time: Duration) async -> Bool {
        let tasks = state.withLock { $0.tasks.values.compactMap(\.self) }
        return await Grace.wait(atMost: time) { for task in tasks { await task.value } }
    }
}
