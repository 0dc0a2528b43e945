//! The person's commands: their end of the control socket.

use serde_json::json;

use super::client::{absolute, ask, converse, unexpected};
use super::{Command, PersonCommand, Reply};
use crate::cli::{Client, FileCommand, FriendCommand, KeyArgs, MessageCommand, TextArgs};
use crate::error::NodeError;
use crate::output::{self, printable};
use crate::person::FriendInfo;
use crate::person::log::{Entry, Happening, Way};

async fn ask_person(client: &Client, command: PersonCommand) -> Result<Reply, NodeError> {
    ask(&client.data_dir, Command::Person(command), |_, _| ()).await
}

/// Does something of which nothing is told but that it is done.
async fn just_do(client: &Client, command: PersonCommand) -> Result<(), NodeError> {
    match ask_person(client, command).await? {
        Reply::Done if client.json => output::json(&json!({ "done": true })),
        Reply::Done => {}
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}

pub(crate) async fn friend(command: FriendCommand) -> Result<(), NodeError> {
    match command {
        FriendCommand::Add { client, tox_id, message } => {
            match ask_person(&client, PersonCommand::AddFriend { tox_id, message }).await? {
                Reply::FriendAsked { key } if client.json => output::json(&json!({ "key": key })),
                Reply::FriendAsked { key } => output::line(&format!("asked {key}")),
                reply => return Err(unexpected(&reply)),
            }
            Ok(())
        }
        FriendCommand::List(client) => list(&client).await,
        FriendCommand::Accept(KeyArgs { client, key }) => {
            just_do(&client, PersonCommand::AcceptFriend { key }).await
        }
        FriendCommand::Remove(KeyArgs { client, key }) => {
            just_do(&client, PersonCommand::RemoveFriend { key }).await
        }
    }
}

async fn list(client: &Client) -> Result<(), NodeError> {
    let reply = ask_person(client, PersonCommand::ListFriends).await?;
    let Reply::Friends { friends } = reply else { return Err(unexpected(&reply)) };
    if client.json {
        output::json(&json!({ "friends": friends }));
        return Ok(());
    }
    for friend in friends {
        output::line(&describe(&friend));
    }
    Ok(())
}

fn describe(friend: &FriendInfo) -> String {
    let FriendInfo { key, name, request, .. } = friend;
    match (friend.asks, friend.online) {
        (true, _) => format!("{key}  asks: {}", printable(request)),
        (_, true) => format!("{key}  online   {}", printable(name)),
        (_, false) => format!("{key}  offline  {}", printable(name)),
    }
}

pub(crate) async fn message(command: MessageCommand) -> Result<(), NodeError> {
    match command {
        MessageCommand::Send { client, key, text } => {
            match ask_person(&client, PersonCommand::SendMessage { key, text }).await? {
                Reply::MessageTaken { id } if client.json => output::json(&json!({ "id": id })),
                Reply::MessageTaken { .. } => {}
                reply => return Err(unexpected(&reply)),
            }
            Ok(())
        }
        MessageCommand::Log { client, follow } => {
            let command = Command::Person(PersonCommand::Log { follow });
            let show = |reply| {
                if let Reply::Entry(entry) = reply {
                    show(&client, &entry);
                }
            };
            match converse(&client.data_dir, command, show).await? {
                Reply::Done => Ok(()),
                reply => Err(unexpected(&reply)),
            }
        }
    }
}

/// Prints a line of the log.
fn show(client: &Client, entry: &Entry) {
    if client.json {
        return output::json(entry);
    }
    let friend = entry.friend.get(..8).unwrap_or(&entry.friend);
    let what = match &entry.what {
        Happening::Message { way: Way::In, text, .. } => format!("> {}", printable(text)),
        Happening::Message { way: Way::Out, text, .. } => format!("< {}", printable(text)),
        Happening::Receipt { id } => format!("  has message {id}"),
        Happening::File { way, path, bytes, outcome } => {
            let word = if *way == Way::In { "from" } else { "to" };
            format!("  file {word} the friend: {}, {bytes} bytes: {outcome}", path.display())
        }
        Happening::Request { message } => format!("  asks for friendship: {}", printable(message)),
        Happening::Online => "  is online".to_owned(),
        Happening::Offline => "  is offline".to_owned(),
    };
    output::line(&format!("{} {friend} {what}", entry.time));
}

pub(crate) async fn file(command: FileCommand) -> Result<(), NodeError> {
    let FileCommand::Send { client, key, path } = command;
    let path = absolute(&path)?;
    match ask_person(&client, PersonCommand::SendFile { key, path }).await? {
        Reply::FileTaken { bytes } if client.json => output::json(&json!({ "bytes": bytes })),
        Reply::FileTaken { bytes } => output::line(&format!("{bytes} bytes to be sent")),
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}

pub(crate) async fn name(args: TextArgs) -> Result<(), NodeError> {
    just_do(&args.client, PersonCommand::SetName { name: args.text }).await
}

pub(crate) async fn status_message(args: TextArgs) -> Result<(), NodeError> {
    just_do(&args.client, PersonCommand::SetStatusMessage { text: args.text }).await
}
