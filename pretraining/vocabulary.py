"""The English that the embedded base model learns: words, their synonyms, and how people ask.

A person asks for a tool in other words than those of its documentation: "how long is that movie"
for "get the duration of a film". CodeLLaMA has learnt from prose which words go together. The
embedded model learns it from pretraining/documents.py, which puts its documents together from
these tables.
"""


def _table(text):
    """Lines of "word: what, people, say" -> {word: (what, people, say)}.

    A line without a colon is a list of words, each of which becomes {word: ()}.
    """
    table = {}
    for line in text.strip().splitlines():
        head, colon, said = line.partition(":")
        if colon:
            table[head.strip()] = _between_commas(said)
        else:
            table |= dict.fromkeys(line.split(), ())
    return table


def _between_commas(text):
    return tuple(part.strip() for part in text.split(","))


def _parameter_table(text):
    """Lines of "name|kind|meaning|cue, cue" -> {name: (kind, meaning, (cue, cue))}."""
    table = {}
    for line in text.strip().splitlines():
        name, kind, meaning, cues = line.split("|")
        table[name] = (kind, meaning, _between_commas(cues))
    return table


# Things that tools are about; after the colon, other words for them.
NOUNS = _table("""
account: bank account
address: place of residence
airport: airfield
album: record
animal: creature, beast
apartment: flat to live in
appliance: machine, household device
appointment: visit, consultation
article: story, report, piece in the paper
artist: musician, painter
athlete: sportsman
author: writer
bank: savings bank
bill: invoice
bird: feathered friend
boat: ship, vessel
bottle: flask
box: crate
bridge: crossing
building: house, block
bus: coach
camera: photo apparatus
captain: skipper
car: vehicle, automobile
castle: fortress
city: town, place
class: lesson, course
client: customer
climate: usual weather
club: team, side
coat: jacket
colour: shade
company: firm, business
concert: gig, live music, show
contact: person I know, acquaintance
contract: agreement
cook: chef
country: nation, state
course: class, lessons
currency: money, coins
deal: bargain
desk: table
device: gadget, appliance
dictionary: words and their meaning
dish: meal, food
doctor: physician, medic
document: paper, file
dog: pet
door: entrance
dress: clothes
drink: beverage, something to drink
election: vote
employee: worker, staff member
event: happening, what is going on
exam: test
exhibition: show
factory: plant, works
farm: ranch
festival: celebration
film: movie, picture
fish: seafood
flight: plane, plane trip
flower: blossom
food: something to eat, groceries
forest: wood
friend: pal, mate
fruit: apples and such
fuel: petrol, gas
game: match, play
garden: yard, park
gift: present
guest: visitor
guide: handbook
harbour: port
heating: radiator, warmth
holiday: day off, vacation
horse: pony
hospital: clinic
hotel: place to stay, accommodation, inn
house: home
insurance: cover
island: isle
job: work, position, opening
journey: trip, voyage
key: code
lamp: light
language: tongue
law: rule
lesson: class
letter: note, mail
library: place with books
license: permit
list: overview
loan: credit, borrowed money
magazine: journal
map: chart
market: fair
match: game, fixture
meal: dinner, lunch, food
medicine: drug, pills
meeting: get-together, call
member: participant
memo: note
menu: choice of dishes
message: mail, note, text
mountain: peak, summit
movie: film, picture, flick
museum: gallery
newspaper: paper, press
note: reminder, memo
novel: book, story
nurse: carer
office: bureau
opera: musical theatre
order: purchase
package: parcel
painting: picture, canvas
park: green space
partner: companion
passenger: traveller
patient: sick person
payment: instalment, amount due
phone: telephone, mobile
photo: picture, snapshot
plan: scheme
planet: world
plant: flower, crop
player: sportsman, member of the team
playlist: mix, collection of tracks
podcast: episode, show to listen to
poem: verse
product: item, article, goods
program: show, broadcast
project: undertaking
purchase: order
quote: saying
race: run, competition
radio: station
recipe: dish, meal, something to cook
region: area, district
rental: hire
reservation: booking
restaurant: place to eat, diner
river: stream
road: street, way
room: chamber
route: way, connection
sale: offer
school: college
score: points, result
seat: place
sentence: phrase
series: show on television
share: stock
shipment: delivery, parcel
shirt: top
shoe: boot
shop: store
singer: vocalist
snow: white stuff
song: track, tune, piece of music
speech: talk
sport: exercise
stadium: arena, ground
star: sun
station: stop
stock: share
storm: bad weather
street: road
student: pupil
subject: field
subscription: membership
supplier: vendor
tax: duty
taxi: cab
teacher: tutor, instructor
team: club, side
temple: shrine
text: passage, lines
theatre: playhouse
ticket: admission, place
timer: alarm
tour: guided walk
toy: plaything
track: song
train: rail connection, railway
trip: journey, travel
truck: lorry
vehicle: car
video: clip
village: small town
visa: entry permit
warning: alert
watch: clock
weather: sky, rain or sunshine
website: page
wine: bottle of red or white
word: term, expression
worker: employee
area bag ball beach bean bike board boot brand bread cable cake candle card cave cell chair
channel chapter cheese church circle clock cloud coffee colony comet cotton crop crown cup curtain
dance data desert dome dragon drum duck egg engine field filter fire flag floor forum frame
gallery gate ghost glass gold grain grass group guitar hall hat hill ice ink iron jar lake leaf
lens line lion log machine mask metal mill mine mirror moon mouse music nest net number oil onion
orchard oven owl page palace paper pearl pen piano pipe pool pot queue rain ring rock roof rope
rose salt sample sand satellite scale sea seed shelf shell sign silk sky soap soil spoon stage
stamp statue stone sugar symbol system table tank tea tent tile tool tower tree tunnel valley
value voice volume wall water wave wheel wind window winner wolf wood zone
""")

# What one may want to know of a thing; after the colon, questions about a thing {}.
ASPECTS = _table("""
price: what does {} cost, how much is {}, how expensive is {}, what do I pay for {}
cost: what does {} cost, how much money does {} take, how expensive is {}
length: how long is {}, what length has {}
duration: how long does {} take, how long is {}, how many minutes does {} last
height: how tall is {}, how high is {}
weight: how heavy is {}, what does {} weigh
size: how big is {}, how large is {}, what are the measures of {}
age: how old is {}, since when is there {}
date: when is {}, on which day is {}, what day does {} take place
time: when is {}, at what hour is {}
schedule: what are the hours of {}, when is {} open
location: where is {}, in which place is {}, where do I find {}
distance: how far away is {}, how many kilometers is it to {}
owner: who owns {}, whose is {}, to whom does {} belong
author: who wrote {}, by whom is {}
director: who made {}, who directed {}
teacher: who teaches {}, whose class is {}
rating: how good is {}, is {} any good, what do people think of {}
reviews: what do people say about {}, how is {} received
count: how many are there of {}, how many has {}
stock: how many pieces are left of {}, is {} still to be had, is there any left of {}
availability: is {} free, can I still get {}, is {} available
status: is {} on time, how is {} doing, what is the state of {}, how do things stand with {}
history: what was {} like in the past, how was {} before, how has {} changed
forecast: what will {} be like, how will {} be, what is expected for {}
alerts: are there any warnings for {}, is there danger at {}, what warnings are in force for {}
news: what is new about {}, what is reported about {}, what do the papers write about {}
details: tell me more about {}, what is known about {}, tell me all about {}
info: tell me about {}, what do you know of {}, I need to know about {}
summary: what is {} about, sum up {}, put {} in a nutshell
population: how many people live in {}, how many inhabitants has {}
temperature: how warm is {}, how hot is {}, how cold is it in {}
speed: how fast is {}, how quick is {}
quality: how good is {}, how clean is {}, how pure is {}
level: how hard is {}, how advanced is {}
score: how did {} end, what was the result of {}, who won {}
results: how did {} do, how many points has {}
address: where does {} live, where is {} at home
phone: how do I reach {}, what number do I call for {}
meaning: what does {} mean, what is {}, explain {}
synonym: what else can I say for {}, what is another word for {}
calories: how much energy has {}, is {} fattening, how many calories has {}
ingredients: what goes into {}, what do I need for {}, what is {} made of
nutrition: how healthy is {}, how nourishing is {}
change: how much did {} rise or fall, how did {} develop, by how much has {} moved
trend: where is {} heading, does {} go up or down
balance: how much is left on {}, what do I have on {}
limit: how much is allowed for {}, what is the most for {}
rank: which place has {}, how does {} compare with others
members: who belongs to {}, who is in {}
link: where on the web is {}, at which page is {}
options: what choices are there for {}, what can I choose for {}
power: how much electricity does {} use, what does {} draw
image: what does {} look like, show me how {} looks
capital: which town governs {}, what is the main city of {}
language: what do they speak in {}, how do people talk in {}
birthday: when was {} born, when does {} turn a year older
difference: how much do {} differ, what is the gap between {}
average: what is the mean of {}, what is usual for {}
total: what does {} come to, how much is {} altogether, what is the sum of {}
type: what kind is {}, which sort is {}
name: what is {} called, how is {} named
""")

# What tools do; after the colon, how people ask for it, before what it is done to.
SEARCHES = _table("""
search: look for, search for, I need, find me, I am looking for, browse, hunt for
find: find, look for, track down, locate, get me, give me
list: list, show me all, name all, enumerate, give me all, put down all
""")
ACTIONS = _table("""
book: book, reserve, I want to book, arrange, get me a place on, buy
reserve: reserve, keep for me, put aside, book
order: order, buy, purchase, I would like to have, get me
cancel: cancel, call off, stop, I no longer need, drop
send: send, pass on, deliver, write, let them have
create: create, make, set up, put together, start
add: add, put in, note, enter, include
delete: delete, remove, throw away, get rid of
update: change, update, correct, bring up to date
set: set, put, turn, adjust, bring
lock: lock, shut, close, make safe
open: open, unlock, let me into
play: play, put on, let me hear, start
pay: pay, settle, transfer the money for
sell: sell, give away, offer
share: share, show others, pass around
sort: sort, put in order, arrange, line up
reverse: turn around, write backwards, reverse
count: count, tell me the number of, add up
calculate: calculate, work out, compute, figure out, determine
convert: convert, change, express otherwise, turn into something else
compare: compare, set side by side, tell apart
translate: translate, put into another language, say otherwise
check: check, have a look at, verify, see about
track: track, follow, keep an eye on
rate: rate, give points to, judge
""")

# Parameters: the kind of their values (`documents.make_value`), their documentation, and how a
# request mentions a value {}.
PARAMETERS = _parameter_table("""
city|name|name of the city|in {}, for {}, in the city of {}, around {}, at {}
country|name|name of the country|in {}, of {}, for {}, from {}
region|name|the region|in {}, around {}, in the region of {}
origin|name|where the journey begins|from {}, leaving {}, out of {}, starting at {}
destination|name|where the journey ends|to {}, going to {}, bound for {}, towards {}
start_date|date|first day|from {}, starting {}, between {}, since {}
end_date|date|last day|to {}, until {}, and {}, up to {}
date|date|day as YYYY-MM-DD|on {}, for {}, of {}
day|weekday|day of the week|on {}, this {}, for {}
month|month|name of the month|in {}, for {}
year|year|the year|in {}, of {}, from {}
time|time|time of the day|at {}, by {}
max_price|integer|highest price|for at most {}, up to {}, under {}, that cost no more than {}
min_price|integer|lowest price|from {} upwards, for at least {}, over {}
limit|integer|how many to give|at most {}, no more than {} of them, only {}
days|integer|number of days|for {} days, in {} days, over {} days
nights|integer|number of nights|for {} nights, staying {} nights
hours|integer|number of hours|for {} hours, in {} hours
minutes|integer|how long in minutes|for {} minutes, lasting {} minutes, of {} minutes
people|integer|number of people|for {} people, for a group of {}, we are {}
seats|integer|number of seats|with {} seats, {} places, for {} of us
quantity|integer|number of pieces|{} pieces, {} of them, {} times
amount|number|the amount|{}, of {}, the amount {}
value|number|the value|{}, of {}, the value {}
number|integer|the number|{}, of {}, the number {}
numbers|numbers|the numbers|{}, of {}, for {}
percent|integer|in percent|{} percent, at {} percent, with {} percent
weight|number|weight in kilograms|{} kilograms, weighing {}, of {} kilos
height|number|height in meters|{} meters tall, {} meters, of {} meters
distance|integer|distance in kilometers|within {} kilometers, {} km away, over {} kilometers
unit|word|the unit|in {}, {}, given in {}
to_unit|word|the unit to convert to|to {}, into {}, as {}
from_currency|code|code of the currency|from {}, out of {}, in {}
to_currency|code|code of the other currency|to {}, into {}, as {}
author|name|who wrote it|by {}, written by {}, from the pen of {}, that {} wrote
artist|name|who plays|by {}, played by {}, of {}
director|name|who directed it|by {}, made by {}, that {} directed
title|title|the title|{}, called {}, with the title {}
name|name|the name|{}, named {}, called {}, under the name {}
person|name|name of the person|for {}, of {}, on behalf of {}, in the name of {}
team|name|name of the team|of {}, for {}, with {}
company|name|name of the company|of {}, by {}, from {}
topic|word|the topic|about {}, on {}, concerning {}, to do with {}
subject|word|the subject|about {}, on {}, in {}
keyword|word|word to look for|with {}, about {}, that mention {}
query|words|what to look for|{}, about {}, like {}
text|sentence|the text|{}, saying {}, with the words {}
message|sentence|the message|saying {}, that says {}, with the message {}
word|word|the word|{}, of {}, the word {}
words|list|the words|{}, of {}, from {}
items|list|the items|{}, with {}, for {}
ingredients|list|what must be in it|with {}, from {}, that contain {}
letter|letter|the letter|{}, the letter {}, with {}
language|word|the language|in {}, to {}
genre|word|the genre|of the kind {}, {}, in the genre {}
category|word|the category|among {}, from {}, in the category {}
kind|word|of which kind|{}, of the kind {}
color|colour|the color|in {}, {}, colored {}
size|word|the size|in {}, of size {}
level|word|the level|at the level {}, for {}
room|word|the room|in the {}, of the {}, for the {}
branch|name|name of the branch|at {}, in the branch {}, from {}
street|name|the street|in {}, on {}
email|email|the email address|to {}, at {}, under {}
phone|phone|phone number|at {}, under {}, with the number {}
code|code|the code|{}, with the code {}, of {}
discount|integer|discount in percent|with {} percent off, less {} percent
rate|number|interest in percent|at {} percent, with a rate of {}
temperature|number|in degrees|to {} degrees, of {}, at {} degrees
brightness|integer|from 0 to 100|at {}, to {} percent
""")

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "grey", "brown", "pink", "orange",
           "purple")
ADJECTIVES = ("old", "new", "small", "large", "early", "late", "cheap", "quiet", "fresh", "open",
              "dark", "warm", "cold", "dry", "good", "whole", "own")

# How a request begins and goes on; {} is an infinitive phrase.
FRAMES = ("Please {}.", "Could you {}?", "Can you {}?", "I need you to {}.", "I'd like you to {}.",
          "Would you {}, please?", "I want you to {}.", "{}!", "{}.", "{}, please.", "Help me: {}.")
NEXT = ("Then {}.", "After that, {}.", "And {}.", "Also {}.", "Next, please {}.",
        "And then, could you {}?", "Besides, {}.", "With that done, {}.", "Once you know, {}.")
QUESTIONS = ("{}?", "{}?", "{}?", "tell me, {}?", "I wonder: {}?", "Do you know {}?",
             "I'd like to know {}.", "please find out {}.", "could you tell me {}?", "check {}.",
             "I need to know {}.")
LEARN = ("see", "find out", "tell me", "check", "look up", "let me know")
# Distractors, some of them with a made-up name or word {}.
ASIDES = ("By the way, {} is a friend of mine.", "I read about {} yesterday.",
          "My neighbour comes from {}.", "Last week it was {}.", "{} told me to ask.",
          "Thanks in advance!", "It is for {}.", "No hurry.", "{} and I have a bet about this.",
          "I am writing this from {}.", "I have been away.")
# References to the value of a parameter {} that an earlier result gives.
REFER = ("that {}", "this {}", "the {} you found", "the {} from before", "the same {}",
         "the {} in question")

_ONSETS = ("b", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l",
           "m", "n", "p", "pl", "qu", "r", "s", "sh", "sk", "sl", "st", "t", "th", "tr", "v", "w",
           "y", "z")
_VOWELS = ("a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ee", "ia", "io", "ou")
_CODAS = ("", "", "", "n", "r", "s", "l", "t", "m", "nd", "rt", "ck", "ss", "x", "th", "ng")


def pseudoword(rng, most=3):
    """A word that nobody knows, of one to `most` syllables.

    >>> from random import Random
    >>> pseudoword(Random(0))
    'stamyiss'
    """
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
                   for _ in range(rng.randint(1, most)))


def new_word(rng, invented):
    """A word that nobody knows, with probability `invented`, or one of NOUNS and ADJECTIVES."""
    return pseudoword(rng) if rng.random() < invented else rng.choice((*NOUNS, *ADJECTIVES))


def new_date(rng):
    """A date from 2020 to 2029 as YYYY-MM-DD."""
    return f"{rng.randint(2020, 2029)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def new_time(rng):
    """A time of the day as HH:MM."""
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
