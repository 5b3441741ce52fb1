import Foundation
import Logging
import Model
import NIOCore
import NIOPosix

/// The Unix socket by which commands reach the server that has the store. Whoever may open the socket may
/// command: it is for the owner of the state directory alone.
final class AdminSocket: Sendable {
    /// Commands that may run at once.
    private static let threads = 4

    /// How long commands are waited for that were told to end: who takes over waits as long.
    private static let grace = Duration.seconds(10)

    private let channel: any Channel
    private let workers: WorkerPool
    private let commands: RunningCommands
    private let logger: Logger

    private init(_ channel: any Channel, _ workers: WorkerPool, _ commands: RunningCommands, _ logger: Logger)
    {
        self.channel = channel
        self.workers = workers
        self.commands = commands
        self.logger = logger
    }

    static func path(_ stateDirectory: String) -> String { stateDirectory + "/holdfast.sock" }

    static func bind(
        path: String, group: any EventLoopGroup, runner: CommandRunner, logger: Logger
    ) async throws -> AdminSocket {
        let workers = WorkerPool(threads: threads)
        let commands = RunningCommands()
        // The store's lock is ours: a socket that is there was left by a server that was killed.
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                SocketPeer.of(channel).flatMapThrowing { peer in
                    guard peer.isOwner else {
                        logger.warning("user \(peer.user) has opened the admin socket, and is refused")
                        throw NotTheOwner()
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        AdminConnection(
                            runner: runner, workers: workers, commands: commands, logger: logger))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        guard chmod(path, 0o600) == 0 else {
            try await channel.close().get()
            throw IOError(errnoCode: errno, reason: "chmod \(path)")
        }
        return AdminSocket(channel, workers, commands, logger)
    }

    /// Commands make an end of it, while requests are still answered.
    func endCommands() { commands.cancel() }

    /// Returns when every command has ended; one whose step hangs is left behind.
    func stop() async throws {
        try await channel.close().get()
        commands.cancel()
        guard await commands.wait(atMost: Self.grace) else {
            // The threads stay, so that it can end.
            return logger.warning("a command is left behind, for a step of it hangs")
        }
        workers.stop()
    }

    private struct NotTheOwner: Error {}
}

/// The process at the other end of a Unix socket, as it was when it connected.
///
/// Source: unix(7), "SO_PEERCRED", `struct ucred`.
private struct SocketPeer: Sendable {
    let process: Int32
    let user: UInt32
    let group: UInt32

    /// Whether it is of this process's user, or of root.
    var isOwner: Bool { user == geteuid() || user == 0 }

    static func of(_ channel: any Channel) -> EventLoopFuture<SocketPeer> {
        guard let options = channel as? any SocketOptionProvider else {
            preconditionFailure("a Unix socket has options")
        }
        return options.unsafeGetSocketOption(level: SocketOptionLevel(SOL_SOCKET), name: SO_PEERCRED)
    }
}

/// One command: a line comes in, its output goes out, the connection ends.
private final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private static let commandLimit = 64 * 1024
    private static let stopping =
        "the server is stopping, and the command was broken off: give it again once another serves the store, or none does"

    private let runner: CommandRunner
    private let workers: WorkerPool
    private let commands: RunningCommands
    private let logger: Logger
    private var received = ByteBuffer()
    private var task: Task<Void, Never>?

    init(runner: CommandRunner, workers: WorkerPool, commands: RunningCommands, logger: Logger) {
        self.runner = runner
        self.workers = workers
        self.commands = commands
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard task == nil else { return }
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        guard received.readableBytes <= Self.commandLimit else { return context.close(promise: nil) }
        guard let end = received.readableBytesView.firstIndex(of: 0x0A) else { return }
        let bytes = Data(received.readableBytesView[..<end])
        let channel = context.channel
        let runner = runner
        let logger = logger
        let commands = commands
        task = commands.run(on: workers) {
            let output = SocketOutput(channel: channel)
            do {
                let command = try JSONDecoder().decode(StoreCommand.self, from: bytes)
                // Its name alone: what goes with it may be a secret.
                logger.info("command \(command.name)")
                let status = try await runner.run(command, output)
                try output.send(AdminMessage(exit: status))
            } catch let error as CancellationError {
                // Nobody is there to tell unless the server stops.
                try? output.send(AdminMessage(failure: commands.isEnding ? Self.stopping : "\(error)"))
            } catch {
                // Who asked may be gone, which ends the command and leaves nobody to tell.
                try? output.send(AdminMessage(failure: "\(error)"))
            }
            channel.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        task?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// A command's output on its way to who asked. Called from worker threads, which wait until it is taken.
private struct SocketOutput: CommandOutput {
    let channel: any Channel

    func line(_ text: String) throws { try send(AdminMessage(line: text)) }

    func progress(_ part: Double) {
        // Progress that nobody sees is no loss; the next line tells that who asked is gone.
        try? send(AdminMessage(progress: part))
    }

    func send(_ message: AdminMessage) throws {
        let buffer = ByteBuffer(string: try CommandJSON.line(message) + "\n")
        try channel.writeAndFlush(buffer).wait()
    }
}
