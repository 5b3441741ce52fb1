/// What goes over the admin socket, one JSON object on a line: a ``StoreCommand`` to the server, and these back.
public struct AdminMessage: Codable, Sendable {
    /// A line of the command's output.
    public var line: String?
    /// The part of the work that is done, 0 to 1.
    public var progress: Double?
    /// The last message: the command's exit status.
    public var exit: Int32?
    /// Why the command could not be carried out; with no `exit`.
    public var failure: String?

    public init(
        line: String? = nil, progress: Double? = nil, exit: Int32? = nil, failure: String? = nil
    ) {
        self.line = line
        self.progress = progress
        self.exit = exit
        self.failure = failure
    }
}
