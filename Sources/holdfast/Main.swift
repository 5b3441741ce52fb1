import ArgumentParser

@main
struct Holdfast: ParsableCommand {
}
