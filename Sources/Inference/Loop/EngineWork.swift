// What the engine's loop asks of those who know models and stores.

/// Does what the machine says, for requests by their ids; all of it on the loop's thread.
///
/// The daemon's is `ModelWork`; tests have one that follows a script. What takes a disk's time is handed to another
/// thread, and what comes of it returns through the loop's mailbox as `Returned`.
package protocol EngineWork: AnyObject {
    /// A request as its client's thread hands it over.
    associatedtype Request: Sendable
    /// What another thread gives back.
    associatedtype Returned: Sendable

    /// Notes a request under its id, and says what it is.
    func accept(_ request: Request, as id: RequestID) -> EngineMachine.Event
    /// Takes what another thread gave back for a request, which may have ended meanwhile.
    func take(_ returned: Returned, for id: RequestID) -> [EngineMachine.Event]
    /// Does what was decided; what happened in consequence.
    func perform(_ action: EngineMachine.Action) -> [EngineMachine.Event]
    /// Does a unit of work; what happened in it.
    func perform(_ work: EngineMachine.Work) -> [EngineMachine.Event]
    /// Looks for readers that went away, fell behind, caught up, or took too long.
    func look() -> [EngineMachine.Event]
    /// Hears of every turn what runs.
    func note(runningQuestions: Int, runsDocument: Bool)
    /// Starts the housekeeping that is due from time to time.
    func keepHouse()
}
